"""Runs of one tiny night: started, watched to a moment, ended, and compared."""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from unittest.mock import patch

import psutil

from components import events
from tests.builders import write_walks
from tests.docker.containers import first_process, of_state
from tests.end_to_end.conftest import CONFIG, ROOT, plain_environment, verdict
from tests.end_to_end.test_resume import same_lists, stable_part

STEPS = (
    "preflight", "ingest", "champion", "perturb", "calibrate", "pretrain", "finetune", "gate", "promote", "recommend",
    "notify",
)  # fmt: skip
"""In the order in which they run."""
LINE = "finest"
Runner = Literal["subprocess", "docker"]
POLL_SECONDS = 0.02
ENDING_SECONDS = 60
"""Time within which all processes of a run that has ended have ended too."""
LONGEST_SECONDS = 900
"""Time that a run may take."""


@dataclass(frozen=True)
class Ended:
    """How a run ended."""

    code: int
    said: str
    """What it wrote to stderr."""
    left: int
    """Number of its processes that were there a minute later."""


@dataclass
class Night:
    """A night in a state of its own; the same command may run again and again."""

    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    placed: tuple[str, ...] = ()
    """Settings that say where data and checkpoints are, if not in the folder."""
    line: str = LINE
    runner: Runner = "subprocess"
    """What its steps run in: processes of this machine, or containers of the engine on it."""
    process: subprocess.Popen[str] | None = None
    before: frozenset[Path] = frozenset()
    """Folders of the runs that were there when the command started."""

    @property
    def source(self) -> Path:
        return self.folder / "data.csv"

    @property
    def state(self) -> Path:
        return self.folder / "state"

    @property
    def run(self) -> Path:
        """The folder of the newest run."""
        return max(self.runs)

    @property
    def runs(self) -> frozenset[Path]:
        """The folders of all runs."""
        folder = self.state / "runs"
        return frozenset(folder.iterdir() if folder.exists() else ())

    def prepare(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        write_walks(self.source)
        config = CONFIG.replace("preflight: {", "preflight: {skip_without_new_data: true, ")
        (self.folder / "config.yaml").write_text(f"{config}recommend: {{out: {self.folder / 'out'}}}\n")

    def start(self, command: str = "run", *more: str) -> psutil.Process:
        """Starts the command, or another one."""
        sets = [part for setting in (f"source={self.source}", *self.placed) for part in ("--set", setting)]
        with_config = [sys.executable, "-m", "pipeline", command, "--config", str(self.folder / "config.yaml")]
        if command == "run":
            with_config += ["--runner", self.runner]
        self.before = self.runs
        self.process = subprocess.Popen(
            [*with_config, *sets, *more],
            cwd=ROOT,
            env={
                **plain_environment("AWS_"),
                "FINEST_STATE": str(self.state),
                "OMP_NUM_THREADS": "1",
                **self.environment,
            },
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        return psutil.Process(self.process.pid)

    def happened(self, step: str, kind: str) -> bool:
        """Tells whether a step has said something, of the run that the command began."""
        if not (new := self.runs - self.before):
            return False
        try:
            found = events.read(min(new) / "events.jsonl")[0]
        except (OSError, ValueError):
            return False
        return any((event.step, event.kind) == (step, kind) for event in found)

    def until(self, step: str, kind: str) -> bool:
        """Waits for a moment; tells whether it came before the run had ended."""
        assert self.process is not None
        while self.process.poll() is None:
            if self.happened(step, kind):
                return True
            time.sleep(POLL_SECONDS)
        return False

    def end(self, family: list[psutil.Process]) -> Ended:
        """Waits for the end of the run, and of the processes that it had."""
        assert self.process is not None
        try:
            said = self.process.communicate(timeout=LONGEST_SECONDS)[1]
        except subprocess.TimeoutExpired:
            for process in [*psutil.Process(self.process.pid).children(recursive=True), self.process]:
                process.kill()
            return Ended(-1, f"hung for {LONGEST_SECONDS} s: {self.process.communicate()[1]}", 0)
        left = psutil.wait_procs(family, timeout=ENDING_SECONDS)[1]
        for process in left:
            process.kill()
        return Ended(self.process.returncode, said, len(left))

    def processes(self) -> list[psutil.Process]:
        """Returns the processes of its run, those in its containers among them."""
        assert self.process is not None
        return [
            *_with_children(self.process.pid),
            *(process for pid in _containers(self) for process in _with_children(pid)),
        ]

    def cpu_seconds(self) -> float:
        """Returns what steps in containers took, of all runs: they are no children of this process."""
        if self.runner == "subprocess":
            return 0.0
        return sum(event.cpu for file in self.state.glob("runs/*/events.jsonl") for event in events.read(file)[0])

    def whole(self) -> Ended:
        """Runs the command from its start to its end."""
        self.start()
        return self.end([])

    def recommend(self) -> Ended:
        """Writes the champion's lists, as `finest recommend` does."""
        self.start("recommend", "--out", str(self.folder / "out"))
        return self.end([])


def _with_children(pid: int) -> list[psutil.Process]:
    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _containers(night: Night) -> list[int]:
    """Returns the first process of each of a night's containers, by its number on this machine."""
    listed = of_state(night.state) if night.runner == "docker" else []
    return [pid for one in listed if (pid := first_process(one))]


def step_process(night: Night, step: str) -> psutil.Process | None:
    """Returns the process of a step of a night's run."""
    for process in night.processes():
        with contextlib.suppress(psutil.NoSuchProcess):
            command = process.cmdline()  # in a container, kfp's own; on this machine, a fork's that has the step's name
            if process.name() == step or ("kfp.dsl.executor_main" in command and step in command):
                return process
    return None


def differences(night: Night, reference: Night) -> list[str]:
    """Returns in what the result of a night is not that of another one."""
    run, whole, found = night.run, reference.run, list[str]()
    if verdict(run)["verdict"] != "skipped":  # as it is once the first run has promoted: nothing is new then
        if not same_lists(run, whole):
            found.append("rank lists differ")
        ours, theirs = stable_part(run), stable_part(whole)
        found += [
            f"the verdict's {key} differs: {str(ours.get(key))[:150]} and {str(theirs.get(key))[:150]}"
            for key in sorted(ours.keys() | theirs.keys())
            if ours.get(key) != theirs.get(key)
        ]
    if served(night.folder / "out") != served(reference.folder / "out"):
        found.append("the lists that are served differ")
    return found + _registry(night, reference)


def served(out: Path) -> dict[str, bytes]:
    """Returns the files of what is served now, by name."""
    import pyarrow.parquet as pq

    if not (out / "current.json").exists():
        return {}
    folder = out / json.loads((out / "current.json").read_text())["folder"]
    return {file.name: str(pq.read_table(file).to_pylist()).encode() for file in sorted(folder.glob("part-*.parquet"))}


def _registry(night: Night, reference: Night) -> list[str]:
    from tracking.store import connect, experiment_id

    weights = champion_weights(night)
    found = [] if len(weights) == 1 else [f"there are {len(weights)} champions"]
    if weights != champion_weights(reference):
        found.append("the champion's weights differ")
    with _environment(night):
        client = connect()
        running = [
            run for run in client.search_runs([experiment_id(client, night.line)]) if run.info.status == "RUNNING"
        ]
    return found + ([f"{len(running)} runs of MLflow are open"] if running else [])


def champion_weights(night: Night) -> list[bytes]:
    """Returns the weights of the version in production, as whoever serves it takes them."""
    from finest.models.folder import WEIGHTS
    from tracking.registry import list_versions, package

    with _environment(night), tempfile.TemporaryDirectory() as temporary:
        champions = [one for one in list_versions(night.line) if "champion" in one.aliases]
        folders = [package(one, Path(temporary, one.version)) for one in champions]
        return [next(folder.rglob(WEIGHTS)).read_bytes() for folder in folders]


@contextmanager
def _environment(night: Night) -> Iterator[None]:
    with patch.dict(os.environ, {"FINEST_STATE": str(night.state), **night.environment}):
        if "MLFLOW_TRACKING_URI" not in night.environment:
            os.environ.pop("MLFLOW_TRACKING_URI", None)
        yield
