"""The patch of Argo's defaults, as docs/cluster.md applies it."""

import re
import subprocess
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[3]
INSTALLED = ROOT / "tests" / "data" / "kubernetes" / "workflow-controller-configmap.yaml"


def test_the_guides_command_changes_the_strategy_of_what_kfp_installs_and_nothing_else(tools: dict[str, Path]) -> None:
    guide = (ROOT / "docs" / "cluster.md").read_text()
    [command] = re.findall(
        r"^kubectl (-n kubeflow patch configmap workflow-controller-configmap .*)$", guide, re.MULTILINE
    )
    arguments = [tools["kubectl"], *command.split(), "--local", "-f", INSTALLED, "-o", "yaml"]
    arguments = [
        one for one in arguments if one not in ("configmap", "workflow-controller-configmap")
    ]  # what the file says
    done = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    before, after = yaml.safe_load(INSTALLED.read_text())["data"], yaml.safe_load(done.stdout)["data"]
    defaults = yaml.safe_load(after.pop("workflowDefaults"))["spec"]
    usual = yaml.safe_load(before.pop("workflowDefaults"))["spec"]
    assert defaults["templateDefaults"].pop("retryStrategy") != usual["templateDefaults"].pop("retryStrategy")
    assert after == before and defaults == usual
