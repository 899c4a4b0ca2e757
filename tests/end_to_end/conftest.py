import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from tests.builders import write_walks

ROOT = Path(__file__).parents[2]

CONFIG = """
name: finest
ingest: {evaluation: {depth: 20, exclude_seen: false}}
perturb: {scenarios: [{kind: deletion}, {kind: replacement}, {kind: insertion}]}
pretrain: {processes: 1, model: {hidden_size: 16, num_layers: 1, max_length: 20}, epochs: 2, memory: {serve: stack}}
finetune: {epochs: 2, top_k: 20}
gate: {rules: [sanity]}
preflight: {min_free_gb: 0}
"""
"""Small enough to train in a second. Such models prove nothing, so only rules that any training must hold are asked."""


KEPT = "kept"
"""The state as the first run left it. No test changes it."""


def plain_environment(*more: str) -> dict[str, str]:
    """Returns the environment without what the product reads, nor what begins with one of `more`."""
    ours = ("FINEST_", "MLFLOW_", "KFP_", *more)
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}


@dataclass(frozen=True)
class Place:
    """A folder with a data set, a config, and states of their own for runs."""

    folder: Path

    @property
    def source(self) -> Path:
        return self.folder / "data.csv"

    @property
    def config(self) -> Path:
        return self.folder / "config.yaml"

    def command(self, *arguments: str) -> list[str]:
        """The command line of one of our commands with this place's config."""
        return [sys.executable, "-m", "pipeline", *arguments, "--config", str(self.config)]

    def environment(self, state: str, **more: str) -> dict[str, str]:
        """The state is in the environment, as for someone who keeps it somewhere else for good."""
        return {**plain_environment(), "FINEST_STATE": str(self.folder / state), **more}

    def call(self, *arguments: str, state: str = "state", **environment: str) -> subprocess.CompletedProcess[str]:
        """Runs a command to its end."""
        return subprocess.run(
            self.command(*arguments),
            cwd=ROOT,
            env=self.environment(state, **environment),
            capture_output=True,
            text=True,
        )

    def run(self, *arguments: str, state: str = "state", **environment: str) -> subprocess.CompletedProcess[str]:
        """`run` on this place's data."""
        return self.call("run", "--source", str(self.source), *arguments, state=state, **environment)

    def last(self, state: str = "state") -> Path:
        """The folder of the newest run."""
        return max((self.folder / state / "runs").iterdir())


def verdict(run: Path) -> dict[str, Any]:
    """The run's verdict."""
    return dict(json.loads((run / "verdict.json").read_text()))


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """The place of all processes that run tests: each has a folder of its own in what they share."""
    own = tmp_path_factory.getbasetemp()
    here = Place((own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "place")
    with FileLock(here.folder.with_suffix(".lock")):
        if not here.config.exists():
            write_walks(here.source)
            here.config.write_text(CONFIG)
    return here


@dataclass(frozen=True)
class Ran:
    """A finished run."""

    process: subprocess.CompletedProcess[str]
    folder: Path


@pytest.fixture(scope="session")
def promoted(place: Place) -> Ran:
    """The first run of the state, which passes; with a profile, which other runs, without one, are equal to.

    The first process that needs it makes it; the others wait for that, and read what it left. The state lives on in
    tests/end_to_end/test_whole_run.py, whose champion is moved; what is to stay as that run left it is in a copy, KEPT.
    """
    record = place.folder / "promoted.json"
    with FileLock(record.with_suffix(".lock")):
        if not record.exists():
            ran = place.run("--profile")
            shutil.copytree(place.folder / "state", place.folder / KEPT)
            record.write_text(json.dumps([ran.args, ran.returncode, ran.stdout, ran.stderr, str(place.last())]))
    *process, folder = json.loads(record.read_text())
    return Ran(subprocess.CompletedProcess(*process), Path(folder))
