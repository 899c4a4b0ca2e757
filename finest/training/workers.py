"""Trainings side by side, on the CPU in processes of one thread each; one by one on a GPU, or where each takes several devices."""

import logging
import multiprocessing
import os
import queue
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.process import BaseProcess
from typing import Any, TypeVar

import torch

from finest.errors import FinestError, KilledError
from finest.processes import end_with, forward, without_main
from finest.training.device import prepare

Result = TypeVar("Result")
Event = tuple[str, dict[str, Any]]
"""Variant, and the history record of the epoch that it has finished."""
Job = Callable[[Callable[[Event], None]], Result]
"""A training, picklable for the CPU: takes what to call after an epoch."""

_events: Any = None


def run(jobs: list[Job[Result]], device: torch.device, processes: int, on_event: Callable[[Event], None]) -> list[Result]:
    """Runs all jobs and returns their results in order; `processes` 0: in this one. An error in one ends the rest and is raised."""
    if device.type != "cpu" or not processes:
        prepare(device)
        return [job(on_event) for job in jobs]
    context = multiprocessing.get_context("spawn")
    events = context.Queue()
    count = min(processes, len(jobs))
    with without_main(), ProcessPoolExecutor(count, context, initializer=_start, initargs=(events, os.getpid())) as pool:
        futures: list[Future[Result]] = [pool.submit(_call, job) for job in jobs]
        workers = list(pool._processes.values())
        try:
            pending = set(futures)
            while pending:
                finished, pending = wait(pending, timeout=0.2, return_when=FIRST_COMPLETED)
                _drain(events, on_event)
                for future in finished:
                    future.result()
        except BaseException as error:
            for process in workers:
                process.terminate()
            pool.shutdown(cancel_futures=True)
            if isinstance(error, BrokenProcessPool):
                raise _ended(workers) from error
            raise
    _drain(events, on_event)
    return [future.result() for future in futures]


def _drain(events: Any, on_event: Callable[[Event], None]) -> None:
    while True:
        try:
            event = events.get_nowait()
        except queue.Empty:
            return
        if isinstance(event, logging.LogRecord):
            logging.getLogger(event.name).handle(event)
        else:
            on_event(event)


def _ended(workers: Sequence[BaseProcess]) -> FinestError:
    """What broke the pool. The other workers were ended with SIGTERM, by the pool and by us."""
    for process in workers:
        process.join()
    codes = [process.exitcode or 0 for process in workers]
    first = next((code for code in codes if code not in (0, -signal.SIGTERM)), -signal.SIGTERM)
    if first < 0:
        return KilledError("a training process", -first)
    return FinestError(f"a training process ended with exit code {first} and without a word; its log says more")


def _start(events: Any, parent: int) -> None:
    global _events
    _events = events
    forward(events.put)
    prepare(torch.device("cpu"))
    end_with(parent)


def _call(job: Job[Result]) -> Result:
    return job(_events.put)
