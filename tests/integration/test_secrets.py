"""Processes that fail with every secret in their errors: nothing that they write has one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from finest.secrets import MASK
from tests.planted import SECRETS, plant


@pytest.fixture(autouse=True)
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
