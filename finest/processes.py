"""Processes that work for this one: they import what they need and nothing else, tell of their work, and end with it."""

import logging
import logging.handlers
import multiprocessing
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.reduction import ForkingPickler
from types import TracebackType
from typing import Any, NamedTuple, Self

from finest.errors import FinestError, KilledError

POLL_SECONDS = 0.5
GRACE_SECONDS = 10.0
"""How long a process may take to end by itself."""

Job = Callable[[Callable[[Any], None]], Any]
"""A piece of work that can be pickled: takes what it tells its events to, and returns its result."""


class Told(NamedTuple):
    """A job has told of something."""

    event: Any


class Returned(NamedTuple):
    """A job is done."""

    result: Any


class Raised(NamedTuple):
    """A job has failed."""

    error: Exception


class Worker:
    """A process that does jobs, one at a time. As a context, it has ended afterwards.

    Whatever it is at when it dies, this process gets an end of file: it has a pipe to itself, and shares no lock and no queue. A job goes
    through that pipe too: what a process is started with is written to another one, without end where it dies before it has read it.
    """

    def __init__(self, name: str, setup: Callable[[], object]):
        """Starts it. `name`: for messages. `setup`: can be pickled, and is called there first."""
        context = multiprocessing.get_context("spawn")
        self.name = name
        self.connection, theirs = context.Pipe()
        self._said = received(self.connection)
        self.process = context.Process(target=_work, args=(theirs, os.getpid(), setup), name=name)
        with _without_main():
            self.process.start()
        theirs.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end(at_once=error is not None)

    def give(self, job: Job) -> None:
        """Hands it a job, when it has none. Raises like `hear` where it has ended."""
        try:
            self.connection.send(job)
        except OSError as error:
            raise self._ended() from error

    def hear(self, seconds: float | None = None) -> Told | Returned | None:
        """What it says next, for `seconds` at most; None where that is nothing, or was for the log.

        Raises what the job has raised; KilledError where a signal has ended the process, FinestError where anything else has.
        """
        if not self.connection.poll(seconds):
            return None
        if (said := next(self._said, None)) is None:
            raise self._ended()
        if isinstance(said, Raised):
            raise said.error
        if isinstance(said, logging.LogRecord):
            log(said)
            return None
        message: Told | Returned = said
        return message

    def _ended(self) -> FinestError:
        self.process.join(GRACE_SECONDS)
        code = self.process.exitcode
        if code is not None and code < 0:
            return KilledError(self.name, -code)
        ended = "closed its pipe and went on" if code is None else f"ended with exit code {code} and without a word"
        return FinestError(f"{self.name} {ended}; its log says more")

    def end(self, at_once: bool = False) -> None:
        """Ends it: by itself if it can, and not `at_once`."""
        self.connection.close()
        if not at_once:
            self.process.join(GRACE_SECONDS)
        for stop in (self.process.terminate, self.process.kill):
            if self.process.is_alive():
                stop()
                self.process.join(GRACE_SECONDS)


def _work(connection: Connection, parent: int, setup: Callable[[], object]) -> None:
    lock = threading.Lock()

    def send(message: Any) -> None:
        with lock:
            connection.send(message)

    # One whose step was killed must not go on training: it holds locks of checkpoints.
    end_when(lambda: os.getppid() != parent)
    forward(send)
    setup()
    for job in received(connection):
        try:
            send(Returned(job(lambda event: send(Told(event)))))
        except Exception as error:  # noqa: BLE001 - whatever it is, the one that it works for raises it
            said = portable(error)
            said.add_note("".join(traceback.format_exception(error)))
            send(Raised(said))


def received(connection: Connection) -> Iterator[Any]:
    """What comes through a pipe, until nobody is at its other end any more, whatever they were at."""
    while True:
        try:
            raw = connection.recv_bytes()
        except (EOFError, OSError):
            return
        yield ForkingPickler.loads(raw)


def portable(error: Exception) -> Exception:
    """The error as another process can make it again, with its own words: one of ours, one of Python's, else what it was as text."""
    if isinstance(error, KilledError) or type(error).__module__ == "builtins":
        return error
    if isinstance(error, FinestError):
        known: type[FinestError] = next(
            kind for kind in type(error).__mro__ if kind.__module__ == FinestError.__module__
        )
        return known(str(error))
    return RuntimeError(f"{type(error).__name__}: {error}")


@contextmanager
def _without_main() -> Iterator[None]:
    """Keeps spawned processes from importing the program that started us: they need its libraries alone."""
    main = sys.modules["__main__"]
    spec, file = getattr(main, "__spec__", None), getattr(main, "__file__", None)
    main.__spec__ = None
    if file is not None:
        del main.__file__
    try:
        yield
    finally:
        main.__spec__ = spec
        if file is not None:
            main.__file__ = file


def end_when(over: Callable[[], bool], before: Callable[[], object] = lambda: None) -> None:
    """Ends this process soon after something is over, whatever it is doing then.

    Args:
        over: Tells whether it is over; asked by a thread, twice a second.
        before: Is called first; whatever it raises does not keep this process alive.
    """

    def watch() -> None:
        while not over():
            time.sleep(POLL_SECONDS)
        try:
            before()
        finally:
            os._exit(1)

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()


def forward(send: Callable[[logging.LogRecord], object]) -> None:
    """Makes this process's log its parent's: every record goes to `send`, which takes it to `log` there."""

    class Forwarded(logging.handlers.QueueHandler):
        def enqueue(self, record: logging.LogRecord) -> None:
            send(record)

    root = logging.getLogger()
    root.handlers = [Forwarded(None)]  # type: ignore[arg-type]
    root.setLevel(logging.INFO)


def log(record: logging.LogRecord) -> None:
    """A record of another process, where this one would have made it."""
    logger = logging.getLogger(record.name)
    if logger.isEnabledFor(record.levelno):
        logger.handle(record)
