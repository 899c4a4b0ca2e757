"""Processes that work for this one: they import what they need and nothing else, and end with it."""

import logging
import logging.handlers
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

POLL_SECONDS = 0.5


@contextmanager
def without_main() -> Iterator[None]:
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


def end_with(parent: int) -> None:
    """Ends this process soon after its parent: one whose step was killed must not go on training, for it holds locks of checkpoints."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(POLL_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()


def forward(send: Callable[[logging.LogRecord], object]) -> None:
    """Makes this process's log its parent's: every record goes to `send`, which can take it there."""

    class Forwarded(logging.handlers.QueueHandler):
        def enqueue(self, record: logging.LogRecord) -> None:
            send(record)

    root = logging.getLogger()
    root.handlers = [Forwarded(None)]  # type: ignore[arg-type]
    root.setLevel(logging.INFO)
