"""Processes that move a champion at one moment, or die while they do; a module of its own, since they import it."""

import os
import signal
import sys
import tempfile
from collections.abc import Callable, Mapping
from datetime import datetime
from multiprocessing.context import ForkServerProcess
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import NoReturn

from finest.errors import FinestError
from finest.gate.verdict_file import write_verdict
from tests.canaries import in_process
from tracking import approval, production, promotion, runs, standing, store
from tracking.entries import Entry, Log
from tracking.promotion import Before, Judged
from tracking.registry import Version

MODULES = [
    "tests.racers",
    "mlflow",
    "torch",
    "sqlalchemy",
    "mlflow.store.model_registry.sqlalchemy_store",
    "mlflow.pyfunc",
]
SECONDS = 300
"""Long, since no limit measures how busy a machine is."""


PLACE = ("FINEST_STATE", "MLFLOW_TRACKING_URI", "KFP_RUN_ID")
"""What says which store a process uses; the server that processes are forked from may have kept others."""


def place(**more: str) -> dict[str, str]:
    """Returns what says which store this process uses, and more."""
    return {name: os.environ[name] for name in PLACE if name in os.environ} | more


def _enter(environment: Mapping[str, str]) -> None:
    for name in PLACE:
        os.environ.pop(name, None)
    os.environ.update(environment)


def by_hand(environment: Mapping[str, str], barrier: Barrier | None, move: production.Move, said: Path) -> None:
    """Makes a move that was planned before, once all are there; exits 1 where another one was quicker."""
    _enter(environment)
    store.connect().search_registered_models(max_results=1)
    if barrier:
        barrier.wait(SECONDS)
    _exit_like_a_command(lambda: production.make(move, "a race"), said)


def refusal(environment: Mapping[str, str], barrier: Barrier, line: str, version: str, said: Path) -> None:
    """Refuses a version once all are there that found it waiting; exits 1 where another one was quicker."""
    _enter(environment)
    real = approval._requested

    def requested(name: str, version: str, now: datetime | None) -> tuple[Version, Log, Entry]:
        found = real(name, version, now)
        barrier.wait(SECONDS)
        return found

    approval._requested = requested
    _exit_like_a_command(lambda: approval.refuse(line, version, "a race"), said)


def step(
    environment: Mapping[str, str],
    barrier: Barrier | None,
    judged: Judged,
    before: Before,
    said: Path,
) -> None:
    """Promotes as the step does. All have found that the champion is the one of the gate before any goes on."""
    _enter(environment)
    real = promotion._unchanged

    def unchanged(log: Log, before: Before) -> None:
        real(log, before)
        if barrier:
            barrier.wait(SECONDS)

    promotion._unchanged = unchanged
    runs.open_parent({}, line="finest", source="data.csv", seed=0, tags={})

    def promote() -> None:
        with runs.step_run("promote") as run, tempfile.TemporaryDirectory() as folder:
            write_verdict(judged.verdict, Path(folder, "verdict.json"))  # as the step before has logged it
            run.client.log_artifact(run.parent, str(Path(folder, "verdict.json")))
            promotion.promote(run, "finest-test", judged, before, in_process)

    _exit_like_a_command(promote, said)


def killed_behind_the_entry(environment: Mapping[str, str], move: production.Move) -> None:
    """Makes a move and is killed before the alias follows."""
    _enter(environment)

    def die(line: str) -> NoReturn:
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError("still here")

    standing.settle = die
    production.make(move, "a crash")


def _exit_like_a_command(work: Callable[[], object], said: Path) -> None:
    try:
        work()
    except FinestError as error:
        said.write_text(str(error))
        sys.exit(1)


def all_at_once(racers: list[ForkServerProcess]) -> list[int | None]:
    """Starts processes, waits for all, and returns their exit codes."""
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join(SECONDS)
    return [racer.exitcode for racer in racers]
