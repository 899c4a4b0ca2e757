"""The pipeline of an experiment, compiled for a cluster: a cell a pod."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from finest.errors import ConfigError
from pipeline.cli import app
from pipeline.cluster import submit
from pipeline.cluster.versions import LOADER
from pipeline.ir_check import problems
from pipeline.policy import EXPERIMENT

SETS = ["--set", "source=s3://bucket/interactions", "--set", "checkpoints=s3://bucket/checkpoints"]
ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("experiment") / "ablation.yaml"
    command = ["experiment", "ablation", "--seeds", "4", "--only", "both", *SETS, "--compile", str(output)]
    assert isinstance(CliRunner().invoke(app, command).exception, ConfigError)  # no cell is called so
    assert not output.exists()
    command[5] = "finest"
    ended = CliRunner().invoke(app, command)
    assert ended.exit_code == 0, ended.output
    return output


@pytest.fixture(scope="module")
def documents(file: Path) -> list[dict[str, Any]]:
    return list(yaml.load_all(file.read_text(), LOADER))


def test_a_backend_would_take_it_and_every_cell_is_a_pod(documents: list[dict[str, Any]]) -> None:
    assert problems(*documents) == []
    executors = {name.removeprefix("exec-") for name in documents[0]["deploymentSpec"]["executors"]}
    assert executors == {"preflight", "ingest", "notify", *EXPERIMENT}
    (loop,) = [one for name, one in documents[0]["components"].items() if name.startswith("comp-for-loop")]
    assert set(loop["dag"]["tasks"]) == {"cell"}


def test_what_is_measured_is_compiled_in_and_the_config_can_be_changed(documents: list[dict[str, Any]]) -> None:
    outer = documents[0]["components"]["comp-exit-handler-1"]["dag"]["tasks"]
    given = outer["grid"]["inputs"]["parameters"]
    constants = {name: one["runtimeValue"]["constant"] for name, one in given.items() if "runtimeValue" in one}
    assert constants.items() >= {"experiment": "ablation", "seeds": 4, "only": "finest"}.items()
    assert {"pretrain", "finetune", "perturb", "gate"} <= documents[0]["root"]["inputDefinitions"]["parameters"].keys()


def test_it_is_not_followed_to_a_verdict_that_it_never_has(file: Path) -> None:
    with pytest.raises(ConfigError, match="add --detach"):
        submit.check_followable(file)
