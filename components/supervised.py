"""A training in a process of its own, which its step outlives: one that a signal has ended is started again, from its checkpoints."""

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
"""What the process does; it can be pickled, and brings no result but its files."""

RESTARTS = 2
POLL_SECONDS = 1.0

logger = logging.getLogger(__name__)


def supervised(work: Work, name: str, report: Report) -> int:
    """Does the work, and returns how often its process was started again. `name`: of the step, for messages.

    Raises what the work raises; KilledError where signals have ended it too often; OutOfMemoryError where memory was short twice without
    an epoch in between.
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
        f"out of memory {'twice at the same place' if same else f'{RESTARTS + 1} times'} ({when}): more is needed than {most}{peak}; "
        "raise placement.memory (of --runner docker: --memory), or lower pretrain.processes or pretrain.batch_size"
    )


def _once(work: Work, heard: Report) -> None:
    """One process, to its end."""
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
    """What a process has started. As a context, it has ended afterwards, so that another process can take its place."""

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
