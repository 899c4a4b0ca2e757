"""What commands and steps import: torch, ibis and pandas take as long as many of them work."""

import subprocess
import sys

import pytest

STEPS = ("champion", "gate", "notify", "perturb", "preflight", "promote", "skip")


def imported(code: str, *modules: str) -> list[str]:
    """Which of the modules a process has imported after some code."""
    code += f"\nimport sys\nprint(*(name for name in {modules} if name in sys.modules))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return ran.stdout.split()


def test_steps_that_rank_nothing_import_no_torch() -> None:
    assert imported("import " + ", ".join(f"components.{step}.work" for step in STEPS), "torch") == []


def test_steps_that_read_no_source_import_no_engine() -> None:
    steps = ", ".join(f"components.{step}.work" for step in STEPS if step != "preflight")
    assert imported(f"import components.step, {steps}", "ibis", "pandas") == []


@pytest.mark.parametrize("model", ["sasrec", "{name: gru4rec, hidden_size: 8}"])
def test_a_config_is_read_without_what_trains_and_what_ingests(model: str) -> None:
    code = f"from pipeline.config import QUICKSTART, load\nload(QUICKSTART, ['pretrain.model={model}'])"
    assert imported(code, "torch", "ibis", "pandas", "kfp", "mlflow") == []
