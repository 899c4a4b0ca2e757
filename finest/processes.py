"""Starts processes that work for this one: they import only what they need, report on their work, and end with it."""

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
from finest.secrets import guard

POLL_SECONDS = 0.5
GRACE_SECONDS = 10.0
"""Seconds that a process may take to end by itself."""

Job = Callable[[Callable[[Any], None]], Any]
"""A piece of work that can be pickled: takes what it tells its events to, and returns its result."""


class Told(NamedTuple):
    """Carries an event that a job has reported."""

    event: Any


class Returned(NamedTuple):
    """Carries the result of a job."""

    result: Any


class Raised(NamedTuple):
    """Carries the error that a job has raised."""

    error: Exception


class Worker:
    """Runs jobs in a process of its own, one at a time. As a context, ends that process.

    Whatever the process is doing when it dies, this one gets an end of file: it has a pipe to itself, and shares no
    lock and no queue. A job goes through that pipe too: what a process is started with is written to another one,
    without end where it dies before it has read it.
    """

    def __init__(self, name: str, setup: Callable[[], object]):
        """Starts the process.

        Args:
            name: Name of the process, for messages.
            setup: Called in the process first; can be pickled.
        """
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
        """Hands the process a job, when it has none.

        Raises:
            FinestError: The process has ended; as `hear` raises.
        """
        try:
            self.connection.send(job)
        except OSError as error:
            raise self._ended() from error

    def hear(self, seconds: float | None = None) -> Told | Returned | None:
        """Returns what the process says next; None if that is nothing within `seconds`, or was for the log.

        Raises:
            KilledError: A signal has ended the process.
            FinestError: The process has ended otherwise.
            Exception: What the job has raised.
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
        """Ends the process: by itself if it can, and not `at_once`."""
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
            try:
                connection.send(message)
            except BrokenPipeError:  # the one that it works for was killed, and hears nothing any more
                sys.exit(1)

    # One whose step was killed must not go on training: it holds locks of checkpoints.
    guard()
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
    """Yields what comes through a pipe until nobody is at its other end any more, whatever they were doing."""
    while True:
        try:
            raw = connection.recv_bytes()
        except (EOFError, OSError):
            return
        yield ForkingPickler.loads(raw)


def portable(error: Exception) -> Exception:
    """Returns the error as another process can make it again, with its own words.

    That is the error itself where it is one of ours or of Python's, else a RuntimeError with its text.
    """
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
    """Handles a record of another process where this one would have made it."""
    logger = logging.getLogger(record.name)
    if logger.isEnabledFor(record.levelno):
        logger.handle(record)
