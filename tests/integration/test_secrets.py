"""Processes that fail with every secret in their errors: nothing that they write has one."""

import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import pytest

from components import events
from finest.secrets import MASK
from tests.planted import ODD, SECRETS, plant
from tests.services import faults
from tracking import runs


@pytest.fixture
def planted(monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch)


PROCESS = """
import logging, os, sys
from components import logs
from rich.console import Console
logging.getLogger().addHandler(logging.StreamHandler())  # of a library that was there before
logs.configure("gate", None)
said = " and ".join(value for name, value in os.environ.items() if "LEAK" in value)
print(said)
Console().print(said)
logging.getLogger("finest").warning("%s", said)
try:
    raise ValueError(said)
except ValueError as cause:
    error = RuntimeError("failed: " + said)
    error.add_note(said)
    raise error from cause
"""


@pytest.mark.usefixtures("planted")
def test_a_steps_process_prints_logs_and_dies_without_a_secret() -> None:
    ended = subprocess.run([sys.executable, "-c", PROCESS], capture_output=True, text=True, env=dict(os.environ))
    assert ended.returncode == 1 and "RuntimeError" in ended.stderr and "ValueError" in ended.stderr
    assert MASK in ended.stdout and "LEAK" not in ended.stdout + ended.stderr


COMMAND = """
import os, sys
import pipeline.cli as cli
from pipeline import config as configs
said = " and ".join(value for name, value in os.environ.items() if "LEAK" in value)
def load(*given):
    try:
        raise ValueError(said)
    except ValueError as cause:
        raise KINDS[os.environ['KIND']]("failed: " + said) from cause
from finest.errors import FinestError, ConfigError
KINDS = {"own": FinestError, "config": ConfigError, "system": OSError, "other": KeyError}
configs.load = load
sys.exit(cli.main())
"""


@pytest.mark.usefixtures("planted")
@pytest.mark.parametrize("kind", ["own", "config", "system", "other"])
def test_a_commands_error_its_log_and_its_arguments_hold_no_secret(kind: str, tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    ended = subprocess.run(
        [sys.executable, "-c", COMMAND, "run", "--state", str(state), "--set", f"x={SECRETS}"],
        capture_output=True,
        text=True,
        env={**os.environ, "KIND": kind},
    )
    assert ended.returncode in (1, 2) and ended.stderr.startswith("error: ")
    written = ended.stdout + ended.stderr + "".join(file.read_text() for file in state.rglob("*") if file.is_file())
    assert MASK in written and "LEAK" not in written
    assert (kind == "config") == (not (state / "error.log").exists())


STEP = """
import sys
from components.step import running
from tracking.records import Curves
from tracking.runs import find_parent
with running("pretrain", "0", checkpoints=sys.argv[1]) as step:
    print("at work", flush=True)
    sys.stdin.readline()
    Curves(step.run).add("train/loss/clean", 1.0, 1)
    find_parent()
"""


@pytest.mark.parametrize("patience", ["0", "1"])
def test_a_step_whose_mlflow_goes_away_does_not_say_the_password_in_its_address(
    shared_mlflow: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, patience: str
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", shared_mlflow)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    monkeypatch.setenv("KFP_RUN_ID", tmp_path.name)
    runs.open_parent({}, line="finest", source="data.csv", seed=0, tags={})
    monkeypatch.setenv("FINEST_PATIENCE_SECONDS", patience)
    monkeypatch.setenv("FINEST_STATE", str(tmp_path / "state"))
    monkeypatch.setenv(events.VARIABLE, str(tmp_path / "events.jsonl"))
    with faults.before(shared_mlflow) as server:
        address = server.endpoint.replace("://", f"://LEAKuser:{quote(ODD, safe='')}@")
        with subprocess.Popen(
            [sys.executable, "-c", STEP, str(tmp_path / "checkpoints")],
            env={**os.environ, "MLFLOW_TRACKING_URI": address},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as step:
            assert step.stdin and step.stdout
            began = step.stdout.readline()
            while began and "at work" not in began:
                began = step.stdout.readline()
            server.fault = lambda request: faults.Reset()
            said = step.communicate("go on\n")[0]
    assert step.returncode == 1 and "points of the curves wait for MLflow" in said and "Traceback" in said
    told = (tmp_path / "events.jsonl").read_text()
    assert "Connection reset by peer" in said + told and '"kind":"failure"' in told
    written = said + "".join(file.read_text(errors="replace") for file in tmp_path.rglob("*") if file.is_file())
    assert MASK in written and "LEAK" not in written
