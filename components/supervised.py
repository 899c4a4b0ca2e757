"""A training in a process of its own, which its step outlives: one that a signal has ended is started again, from its checkpoints."""

import contextlib
import logging
import multiprocessing
import os
import signal
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

import psutil

from components.memory import go_first, look, mebibytes
from components.orphan import die_with_parent
from finest.errors import FinestError, KilledError, OutOfMemoryError
from finest.processes import end_with, forward, without_main
from finest.training.progress import Progress, Report

Work = Callable[[Report], None]
"""What the process does; it can be pickled, and brings no result but its files."""

RESTARTS = 2
POLL_SECONDS = 1.0
GRACE_SECONDS = 10.0
"""How long what is left of a process may take to end."""

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
                raise FinestError(f"{name}: {error}, and {RESTARTS + 1} times in all; the machine's own log may say by whom") from error
            short_at = dict(place) if short else short_at
            why = f"out of memory: {error}" if short else str(error)
            logger.warning("%s; started again from the checkpoints, restart %d of %d", why, restarts + 1, RESTARTS)
    raise AssertionError("the last turn returns or raises")


def _out_of_memory(place: dict[tuple[str, str], int], same: bool) -> str:
    memory = look()
    epochs = ", ".join(f"{variant} epoch {epoch}" for (_, variant), epoch in place.items())
    when = f"after {epochs}" if epochs else "before the first epoch was over"
    most = f"{mebibytes(memory.limit)}, {'the limit of its container' if memory.limited else 'all that this machine has'}"
    peak = f", and the peak was {mebibytes(memory.peak)}" if memory.peak else ""
    return (
        f"out of memory {'twice at the same place' if same else f'{RESTARTS + 1} times'} ({when}): more is needed than {most}{peak}; "
        "raise placement.memory (of --runner docker: --memory), or lower pretrain.processes or pretrain.batch"
    )


def _once(work: Work, heard: Report) -> None:
    """One process, to its end."""
    context = multiprocessing.get_context("spawn")
    inbox, outbox = context.Pipe(duplex=False)
    with without_main():
        process = context.Process(target=_child, args=(work, outbox, os.getpid()), name="training")
        process.start()
    outbox.close()  # the child's is now the only one, so that its death is an end of file here
    family = Family(process)
    try:
        failure = _listen(inbox, heard, family)
        process.join()
    finally:
        family.end()
        inbox.close()
    if process.exitcode is not None and process.exitcode < 0:
        raise KilledError("the training's process", -process.exitcode)
    if failure is not None:
        raise failure
    if process.exitcode:
        raise FinestError(f"the training's process ended with exit code {process.exitcode} and without a word; its log says more")


def _listen(inbox: Connection, heard: Report, family: "Family") -> BaseException | None:
    """Passes on what the child says until it has ended; returns the error that it said last, if any."""
    failure: BaseException | None = None
    while True:
        try:
            if not inbox.poll(POLL_SECONDS):
                family.look()
                continue
            said = inbox.recv()
        except EOFError:
            return failure
        if isinstance(said, logging.LogRecord):
            logging.getLogger(said.name).handle(said)
        elif isinstance(said, Progress):
            heard(said)
        else:
            failure = said
        family.look()


@dataclass
class Family:
    """A process and its children, which are to end before another one takes their place."""

    process: BaseProcess
    members: dict[int, psutil.Process] = field(default_factory=dict)
    looked: float = 0.0

    def look(self) -> None:
        """Notes who is there, once in a while."""
        if time.monotonic() - self.looked >= POLL_SECONDS:
            self.looked = time.monotonic()
            with contextlib.suppress(psutil.NoSuchProcess):
                found = psutil.Process(self.process.pid).children(recursive=True)
                self.members |= {member.pid: member for member in found}

    def end(self) -> None:
        """Ends what has not ended by itself."""
        if self.process.is_alive():
            self.process.terminate()
        left = psutil.wait_procs(self.members.values(), timeout=GRACE_SECONDS)[1]
        self.process.join(GRACE_SECONDS)
        for member in left:
            with contextlib.suppress(psutil.NoSuchProcess):
                member.kill()
        if self.process.is_alive():
            self.process.kill()
            self.process.join()


def _child(work: Work, outbox: Connection, parent: int) -> None:
    lock = threading.Lock()

    def send(message: Any) -> None:
        with lock:
            outbox.send(message)

    die_with_parent()
    end_with(parent)
    forward(send)
    go_first()
    try:
        work(send)
    except Exception as error:  # noqa: BLE001 - whatever it is, the step raises it
        said = portable(error)
        said.add_note("".join(traceback.format_exception(error)))
        send(said)
        raise SystemExit(1) from None


def portable(error: BaseException) -> Exception:
    """The error as another process can make it again, with its own words: one of ours, one of Python's, else what it was as text."""
    if isinstance(error, KilledError) or (isinstance(error, Exception) and type(error).__module__ == "builtins"):
        return error
    if isinstance(error, FinestError):
        known = next(kind for kind in type(error).__mro__ if kind.__module__ == FinestError.__module__)
        return known(str(error))
    return RuntimeError(f"{type(error).__name__}: {error}")
