"""Trains a variant on several devices of a machine, for data that would keep one busy for too long.

Every process holds all windows and takes every `world`-th of a batch's. Gradients are added up before each step, so the
result is the one of a single device up to rounding, and the same bit for bit for a number of devices.
"""

import contextlib
import logging
import multiprocessing
import os
import threading
from collections.abc import Callable
from functools import partial
from multiprocessing.connection import Connection
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, distributed
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, record
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from finest.errors import ConfigError, FinestError, KilledError
from finest.processes import Returned, Told, forward, log, received
from finest.secrets import guard
from finest.training.checkpoint import Checkpoint
from finest.training.device import prepare
from finest.training.loop import Records, Settings, train
from finest.training.single import Share, Single

Result = tuple[dict[str, NDArray[Any]], Records]
"""State of the model by name, and histories. Arrays, since tensors are shared by files of the process that sends them,
which may have ended by then."""
Work = Callable[[Callable[[str, dict[str, Any]], None]], Result | None]


def train_shared(
    single: Callable[[Share, torch.device], Single],
    settings: Settings,
    checkpoint: Checkpoint,
    device: torch.device,
    report: Callable[[str, dict[str, Any]], None],
) -> tuple[dict[str, Tensor], Records]:
    """Trains in `settings.parallel` processes, one a device, and returns the model's state and the histories.

    An error in one of the processes ends all of them and is raised.

    Args:
        single: Makes a process's trainer; can be pickled.
        settings: How it is trained.
        checkpoint: Where its state is saved; can be pickled.
        device: Kind of the devices.
        report: Told a variant and its record of an epoch.
    """
    processes = settings.parallel
    if device.type == "cuda" and torch.cuda.device_count() < processes:
        asked, there = f"{processes} CUDA devices were asked for", f"this machine has {torch.cuda.device_count()}"
        raise ConfigError(f"pretrain.data_parallel: {asked}, but {there}; lower it, or set pretrain.device to cpu")
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=processes,
        run_id="training",
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        max_restarts=0,
        start_method="spawn",
        monitor_interval=0.1,
    )
    pipes = [multiprocessing.get_context("spawn").Pipe() for _ in range(processes)]
    results: list[Result] = []
    work = partial(_train_share, single, settings, checkpoint, device.type)
    listeners = [threading.Thread(target=_attend, args=(ours, work, report, results), daemon=True) for ours, _ in pipes]
    for listener in listeners:
        listener.start()
    try:
        elastic_launch(config, _share)([theirs for _, theirs in pipes])
    except ChildFailedError as error:
        _, first = error.get_first_failure()
        if first.exitcode < 0:
            raise KilledError("a training process", -first.exitcode) from error
        raise FinestError(
            str(first.message["message"] if isinstance(first.message, dict) else first.message)
        ) from error
    finally:
        for _, theirs in pipes:
            theirs.close()
        for listener in listeners:
            listener.join()
    weights, histories = results[0]
    return {name: torch.from_numpy(weight) for name, weight in weights.items()}, histories


def _attend(
    connection: Connection, work: Work, report: Callable[[str, dict[str, Any]], None], results: list[Result]
) -> None:
    """Hands a process its work and hears what it says, to the end of its pipe, which no other process has.

    An error here ends the process too.
    """
    with connection:
        with contextlib.suppress(OSError):  # it has ended, and so has what is heard
            connection.send(work)
        for said in received(connection):
            if isinstance(said, logging.LogRecord):
                log(said)
            elif isinstance(said, Told):
                report(*said.event)
            else:
                results.append(said.result)


@record
def _share(connections: list[Connection]) -> None:
    """Does one process's part of the training."""
    guard()
    connection = connections[int(os.environ["LOCAL_RANK"])]
    work: Work = connection.recv()
    forward(connection.send)
    if (result := work(lambda variant, record: connection.send(Told((variant, record))))) is not None:
        connection.send(Returned(result))


def _train_share(
    single: Callable[[Share, torch.device], Single],
    settings: Settings,
    checkpoint: Checkpoint,
    device_type: str,
    report: Callable[[str, dict[str, Any]], None],
) -> Result | None:
    rank, world = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    device = torch.device(device_type, int(os.environ["LOCAL_RANK"])) if device_type == "cuda" else torch.device("cpu")
    if device.type == "cuda":
        torch.cuda.set_device(device)
    prepare(device)
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        trainer = single(Share(rank, world), device)
        leads = rank == 0  # all read the checkpoint before anybody can have finished another epoch
        histories = train(
            trainer, settings, checkpoint if leads else checkpoint.read_only(), report if leads else _silent
        )
        return (
            ({name: tensor.detach().cpu().numpy() for name, tensor in trainer.model.state_dict().items()}, histories)
            if leads
            else None
        )
    finally:
        distributed.destroy_process_group()


def _silent(variant: str, record: dict[str, Any]) -> None:
    return
