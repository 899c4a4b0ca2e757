"""Runs a training in a process of its own, which its step outlives.

A process that a signal has ended is started again, from its checkpoints.
"""

import contextlib
import logging
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from typing import Self

import psutil

from components.memory import go_first, look, mebibytes
from components.orphan import die_with_parent
from finest.errors import FinestError, KilledError, OutOfMemoryError
from finest.processes import GRACE_SECONDS, Returned, Worker
from finest.training.progress import Progress, Report

Work = Callable[[Report], None]
"""Work of the process: can be pickled, gets what it reports to, and brings no result but its files."""

RESTARTS = 2
"""Number of times that a process is started again."""
POLL_SECONDS = 1.0
"""Time between two looks at the process."""

logger = logging.getLogger(__name__)


def supervised(work: Work, name: str, report: Report) -> int:
    """Does the work in a process of its own, and returns how often that was started again.

    Args:
        work: The work.
        name: Name of the step, for messages.
        report: Gets the work's progress.

    Raises:
        FinestError: Signals have ended the process too often.
        OutOfMemoryError: Memory was short twice without an epoch in between.
        Exception: Whatever else the work raises.
    """
    place: dict[tuple[str, str], int] = {}  # the last epoch of every training, which a restart goes on from
    short_at: dict[tuple[str, str], int] | None = None

    def heard(progress: Progress) -> None:
        place[progress.stage, progress.variant] = progress.epoch
        report(progress)

    for restarts in range(RESTARTS + 1):
        before = look().killed
        try:
            _once(work, heard)
            return restarts
        except KilledError as error:
            short = error.number == signal.SIGKILL and look().killed > before
            if short and (short_at == place or restarts == RESTARTS):
                raise OutOfMemoryError(f"{name}: {_out_of_memory(place, same=short_at == place)}") from error
            if restarts == RESTARTS:
                raise FinestError(
                    f"{name}: {error}, and {RESTARTS + 1} times in all; the machine's own log may say by whom"
                ) from error
            short_at = dict(place) if short else short_at
            why = f"out of memory: {error}" if short else str(error)
            logger.warning("%s; started again from the checkpoints, restart %d of %d", why, restarts + 1, RESTARTS)
    raise AssertionError("the last turn returns or raises")


def _out_of_memory(place: dict[tuple[str, str], int], same: bool) -> str:
    memory = look()
    epochs = ", ".join(f"{variant} epoch {epoch}" for (_, variant), epoch in place.items())
    when = f"after {epochs}" if epochs else "before the first epoch was over"
    most = (
        f"{mebibytes(memory.limit)}, {'the limit of its container' if memory.limited else 'all that this machine has'}"
    )
    peak = f", and the peak was {mebibytes(memory.peak)}" if memory.peak else ""
    return (
        f"out of memory {'twice at the same place' if same else f'{RESTARTS + 1} times'} ({when}): "
        f"more is needed than {most}{peak}; raise placement.memory "
        "(of --runner docker: --memory), or lower pretrain.processes or pretrain.batch_size"
    )


def _once(work: Work, heard: Report) -> None:
    """Starts one process and follows it to its end."""
    with Family() as family, Worker("the training's process", _ready) as worker:
        worker.give(work)
        while not isinstance(said := worker.hear(POLL_SECONDS), Returned):
            if said is not None:
                heard(said.event)
            family.look(worker.process)


def _ready() -> None:
    go_first()
    die_with_parent()


@dataclass
class Family:
    """Holds the processes that a process has started.

    When the context ends they have ended, so that another can take its place.
    """

    members: dict[int, psutil.Process] = field(default_factory=dict)
    looked: float = 0.0

    def look(self, process: BaseProcess) -> None:
        """Notes who is there, once in a while."""
        if time.monotonic() - self.looked >= POLL_SECONDS:
            self.looked = time.monotonic()
            with contextlib.suppress(psutil.NoSuchProcess):
                found = psutil.Process(process.pid).children(recursive=True)
                self.members |= {member.pid: member for member in found}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        for member in psutil.wait_procs(self.members.values(), timeout=GRACE_SECONDS)[1]:
            with contextlib.suppress(psutil.NoSuchProcess):
                member.kill()
