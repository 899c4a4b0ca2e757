"""Runs trainings side by side: on the CPU in processes of one thread each, on a GPU one by one.

Where each training takes several devices, they run one by one too.
"""

from collections import deque
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from multiprocessing.connection import wait
from typing import Any, TypeVar

import torch

from finest.processes import Returned, Told, Worker
from finest.training.device import prepare

Result = TypeVar("Result")
Event = tuple[str, dict[str, Any]]
"""Variant, and the history record of the epoch that it has finished."""
Job = Callable[[Callable[[Event], None]], Result]
"""A training that can be pickled, for the CPU: takes what to call after an epoch."""


def run(
    jobs: list[Job[Result]],
    device: torch.device,
    processes: int,
    on_event: Callable[[Event], None],
    name: str = "a training process",
) -> list[Result]:
    """Runs all jobs and returns their results in order. An error in one ends the rest and is raised.

    Args:
        jobs: The trainings.
        device: Their device.
        processes: Number of processes on a CPU; below 2, all run in this one.
        on_event: Told of every finished epoch.
        name: What a process is called in messages.
    """
    if device.type != "cpu" or processes < 2:
        prepare(device)
        return [job(on_event) for job in jobs]
    left, results = deque(enumerate(jobs)), dict[int, Result]()
    with ExitStack() as team:
        workers = [team.enter_context(Worker(name, partial(prepare, device))) for _ in jobs[:processes]]
        idle, at_work = workers, dict[Any, tuple[Worker, int]]()  # by connection
        while left or at_work:
            for worker in idle[: len(left)]:
                number, job = left.popleft()
                worker.give(job)
                at_work[worker.connection] = worker, number
            idle = []
            for connection in wait(list(at_work)):
                worker, number = at_work[connection]
                said = worker.hear()
                if isinstance(said, Told):
                    on_event(said.event)
                if isinstance(said, Returned):
                    results[number] = said.result
                    idle.append(worker)
                    del at_work[connection]
    return [results[number] for number in range(len(jobs))]
