"""Surrounds the work of every step, which reports to terminal and MLflow, fails with one line and ends with its run."""

import logging
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from components import pods
from components.events import emit
from components.failures import failing_once
from components.logs import configure
from components.orphan import die_with_parent
from components.pace import Pace
from components.supervised import Work, supervised
from finest.causes import Short, shortage
from finest.durations import duration
from finest.errors import FinestError, OutOfMemoryError, one_line
from finest.peak import family_peak_bytes
from finest.training.progress import LINE_SECONDS, Progress
from tracking.records import Curves
from tracking.runs import Run, step_run

TOO_OFTEN = 2
"""Number of a step's pods that were killed for want of memory, after which another one is not tried."""

logger = logging.getLogger(__name__)


@dataclass
class StepAtWork:
    """Holds a step that is at work, and its MLflow run."""

    name: str
    group: str | None
    """Id of the group that it trains, if any."""
    run: Run

    def train(self, work: Work) -> None:
        """Does a training step's work in a process of its own, followed on the terminal, in the log and in MLflow."""
        if why := pods.explained(self.name, self.group, least=TOO_OFTEN):
            raise OutOfMemoryError(f"{self.name}: {why}")
        said = time.monotonic()
        pace = Pace()
        curves = Curves(self.run)

        def report(progress: Progress) -> None:
            nonlocal said
            told = {"done": progress.done, "text": progress.text, "resumed": progress.resumed}
            emit("progress", self.name, self.group, **told)
            left = pace.left(time.monotonic(), progress.done, progress.resumed)
            if not progress.resumed:
                curves.add(f"train/loss/{progress.variant}", progress.loss, progress.epoch)
            if time.monotonic() - said >= LINE_SECONDS:
                said = time.monotonic()
                figures: dict[str, Any] = {"event": "progress", "done": round(progress.done, 4)}
                text = f"{100 * progress.done:.0f}% of all {progress.of}"
                if left is not None:
                    figures, text = figures | {"left_seconds": round(left, 1)}, f"{text}, about {duration(left)} left"
                logger.info(text, extra=figures)

        restarts = supervised(work, self.name, report)
        if restarts:
            self.run.client.set_tag(self.run.id, "restarts", restarts)
        curves.end()


@contextmanager
def running(name: str, group: str | None = None, checkpoints: str = "") -> Iterator[StepAtWork]:
    """Surrounds a step's work, which has an MLflow run of its own.

    Args:
        name: Name of the step.
        group: Id of the group that it trains, if any.
        checkpoints: Folder or URI where errors that are final are remembered, so that another attempt ends with them at
            once.
    """
    with watched(name, group, checkpoints), step_run(name, group) as run, _shortage_explained(name):
        yield StepAtWork(name, group, run)


@contextmanager
def watched(name: str, group: str | None = None, checkpoints: str = "") -> Iterator[None]:
    """Surrounds a step's work that has no MLflow run, since it begins before the parent run or ends after it.

    An error is raised again once its one line is at the terminal; KFP prints its traceback to the log.

    Args:
        name: Name of the step.
        group: Id of the group that it trains, if any.
        checkpoints: Folder or URI where errors that are final are remembered, so that another attempt ends with them at
            once.
    """
    die_with_parent()
    configure(name, group)
    emit("start", name, group)
    try:
        with _shortage_explained(name), failing_once(checkpoints, name, group):
            yield
    except BaseException as error:
        emit("failure", name, group, text=one_line(error), exit_code=getattr(error, "exit_code", 1), **_taken())
        raise
    emit("finish", name, group, done=1.0, **_taken())


def _taken() -> dict[str, Any]:
    return {"cpu": cpu_seconds(), "peak_bytes": family_peak_bytes()}


@contextmanager
def _shortage_explained(name: str) -> Iterator[None]:
    try:
        yield
    except FinestError:
        raise
    except Exception as error:
        if (short := shortage(error)) is None:
            raise
        raise FinestError(f"{name}: {_said(short.of, name).format(one_line(short.error))}") from error


def _said(short: Short, step: str) -> str:
    """Returns a step's line where the machine has too little of something, with a place for the error's own."""
    if short == "disk":
        return "the disk is full ({}); free some space and run again"
    if short == "GPU memory":
        return "the GPU has too little memory ({}); lower pretrain.batch_size, or take a GPU with more"
    more = f"raise {pods.memory_key(step)} (of --runner docker: --memory)"
    return f"not enough memory ({{}}); end what else needs it on this machine, or {more}"


def cpu_seconds() -> float:
    """Returns the CPU seconds of this process so far, and of its children that have ended."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)
