"""A run that fails at a step, with a secret in every setting that takes one: nothing that it writes has any of them."""

import shutil

import pytest

from finest.secrets import MASK, VARIABLE
from tests.end_to_end.conftest import ROOT, Place
from tests.faults.night import STEPS
from tests.planted import PLANTED
from tests.services.mlflow_server import INSIDE

NEEDED = {"MLFLOW_TRACKING_URI", "FINEST_SIGNING_KEY", "HTTPS_PROXY"}
"""Settings that must be right for a run to come to any step."""


@pytest.mark.slow
@pytest.mark.parametrize("step", [step for step in STEPS if step != "recommend"])  # off by default
def test_a_step_that_fails_with_all_secrets_in_its_error_leaves_none(place: Place, step: str) -> None:
    state = f"leaks-{step}"
    planted = {name: value for name, value in PLANTED.items() if name not in NEEDED}
    try:
        ran = place.run(
            "--set", "gate.rules=[sanity]", "--profile", state=state, **planted, **{VARIABLE: "TEAM_ADDRESS"},
            PYTHONPATH=f"{INSIDE}:{ROOT}", FINEST_TESTS_FAILING=step,
        )  # fmt: skip
        said = ran.stdout + ran.stderr
        assert ran.returncode == 1 and "no answer: " in said, said
        assert MASK in said and "LEAK" not in said
        files = [file for file in (place.folder / state).rglob("*") if file.is_file()]
        assert files and not [str(file) for file in files if b"LEAK" in file.read_bytes()]
    finally:
        shutil.rmtree(place.folder / state, ignore_errors=True)
