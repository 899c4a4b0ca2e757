"""Trainings side by side, on the CPU in processes of one thread each; one by one on a GPU, or where each takes several devices."""

import logging
import multiprocessing
import os
import queue
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any, TypeVar

import torch

from finest.errors import FinestError
from finest.training.device import prepare

Result = TypeVar("Result")
Event = tuple[str, dict[str, Any]]
"""Variant, and the history record of the epoch that it has finished."""
Job = Callable[[Callable[[Event], None]], Result]
"""A training, picklable for the CPU: takes what to call after an epoch."""

log = logging.getLogger(__name__)
_events: Any = None


def run(jobs: list[Job[Result]], device: torch.device, processes: int, on_event: Callable[[Event], None]) -> list[Result]:
    """Runs all jobs and returns their results in order; `processes` 0: in this one. An error in one ends the rest and is raised."""
    if device.type != "cpu" or not processes:
        prepare(device)
        return [job(on_event) for job in jobs]
    context = multiprocessing.get_context("spawn")
    events = context.Queue()
    count = min(processes, len(jobs))
    with _without_main(), ProcessPoolExecutor(count, context, initializer=_start, initargs=(events, os.getpid())) as pool:
        futures: list[Future[Result]] = [pool.submit(_call, job) for job in jobs]
        try:
            pending = set(futures)
            while pending:
                finished, pending = wait(pending, timeout=0.2, return_when=FIRST_COMPLETED)
                _drain(events, on_event)
                for future in finished:
                    future.result()
        except BaseException as error:
            for process in list((pool._processes or {}).values()):
                process.terminate()
            pool.shutdown(cancel_futures=True)
            if isinstance(error, BrokenProcessPool):
                why = "a training process was killed, most often for want of memory; lower pretrain.processes or pretrain.batch"
                raise FinestError(why) from error
            raise
    _drain(events, on_event)
    return [future.result() for future in futures]


def _drain(events: Any, on_event: Callable[[Event], None]) -> None:
    while True:
        try:
            on_event(events.get_nowait())
        except queue.Empty:
            return


def _start(events: Any, parent: int) -> None:
    global _events
    _events = events
    prepare(torch.device("cpu"))
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    """A worker whose step was killed must not go on training: it holds the locks of its checkpoints."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


def _call(job: Job[Result]) -> Result:
    return job(_events.put)


@contextmanager
def _without_main() -> Iterator[None]:
    """Keeps spawned workers from importing the program that started us: they need this library alone."""
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
