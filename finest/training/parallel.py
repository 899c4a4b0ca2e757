"""One training on several devices of a machine, for data that would keep one busy for too long.

Every process holds all windows and takes every `world`-th of a batch's. Gradients are added up before each step, so the result is the
one of a single device up to rounding, and the same bit for bit for a number of devices.
"""

import logging
import multiprocessing
import os
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, distributed
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, record
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from finest.errors import ConfigError, FinestError, KilledError
from finest.processes import forward
from finest.training.checkpoint import Checkpoint
from finest.training.device import prepare
from finest.training.loop import Records, Settings, train
from finest.training.single import Share, Single


def train_shared(
    single: Callable[[Share, torch.device], Single], settings: Settings, checkpoint: Checkpoint, device: torch.device,
    report: Callable[[str, dict[str, Any]], None],
) -> tuple[dict[str, Tensor], Records]:  # fmt: skip
    """Trains in `settings.parallel` processes, one a device, and returns the weights and histories.

    `single` makes a process's trainee; it and `checkpoint` are pickled to the processes. An error in one of them ends all and is raised.
    """
    processes = settings.parallel
    if device.type == "cuda" and torch.cuda.device_count() < processes:
        asked, there = f"{processes} CUDA devices were asked for", f"this machine has {torch.cuda.device_count()}"
        raise ConfigError(f"pretrain.data_parallel: {asked}, but {there}; lower it, or set pretrain.device to cpu")
    config = LaunchConfig(
        min_nodes=1, max_nodes=1, nproc_per_node=processes, run_id="training", rdzv_backend="c10d", rdzv_endpoint="localhost:0",
        max_restarts=0, start_method="spawn", monitor_interval=0.1,
    )  # fmt: skip
    events = multiprocessing.get_context("spawn").SimpleQueue()
    told = threading.Thread(target=_tell, args=(events, report), daemon=True)
    told.start()
    try:
        results = elastic_launch(config, _train_share)(single, settings, checkpoint, device.type, events)
    except ChildFailedError as error:
        _, first = error.get_first_failure()
        if first.exitcode < 0:
            raise KilledError("a training process", -first.exitcode) from error
        raise FinestError(str(first.message["message"] if isinstance(first.message, dict) else first.message)) from error
    finally:
        events.put(None)
        told.join()
    return results[0]


def _tell(events: Any, report: Callable[[str, dict[str, Any]], None]) -> None:
    while (event := events.get()) is not None:
        if isinstance(event, logging.LogRecord):
            logging.getLogger(event.name).handle(event)
        else:
            report(*event)


@record
def _train_share(
    single: Callable[[Share, torch.device], Single], settings: Settings, checkpoint: Checkpoint, device_type: str, events: Any
) -> tuple[dict[str, Tensor], Records] | None:
    forward(events.put)
    rank, world = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    device = torch.device(device_type, int(os.environ["LOCAL_RANK"])) if device_type == "cuda" else torch.device("cpu")
    if device.type == "cuda":
        torch.cuda.set_device(device)
    prepare(device)
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        trainee = single(Share(rank, world), device)
        leads = rank == 0  # all read the checkpoint before anybody can have finished another epoch
        histories = train(trainee, settings, checkpoint if leads else checkpoint.read_only(), partial(_put, events) if leads else _silent)
        return ({name: weight.detach().cpu() for name, weight in trainee.weights.items()}, histories) if leads else None
    finally:
        distributed.destroy_process_group()


def _put(events: Any, variant: str, record: dict[str, Any]) -> None:
    events.put((variant, record))


def _silent(variant: str, record: dict[str, Any]) -> None:
    return
