"""The training loop: a variant, or several as one, through the epochs of one stage, resumable after any of them.

Shapes: R variants, T loss terms.
"""

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from finest.errors import FinestError
from finest.profiling.profiler import traced
from finest.training.average import Average
from finest.training.checkpoint import Checkpoint
from finest.training.diary import Diary
from finest.training.windows import Slots


@dataclass(frozen=True)
class Settings:
    """How a stage trains."""

    stage: str
    seed: int
    epochs: int
    batch_size: int
    lr: float
    cosine: bool
    """The rate falls to zero along a half cosine over the stage's steps; else it is constant."""
    weight_decay: float
    ema_decay: float
    max_grad_norm: float
    dropout: float
    amp: bool
    parallel: int = 1
    """Devices that share a training."""


class Trainee(ABC):
    """What the loop trains: a variant's model, or a stack of several variants' as one."""

    weights: dict[str, Tensor]
    """Trained in place."""
    buffers: dict[str, Tensor]
    """The rest of the model's state, which a step may change but no gradient moves."""
    slots: Slots
    variants: Sequence[str]
    """[R]"""
    terms: Sequence[str]
    """Names of the T loss terms beside the loss itself."""
    leads = True
    """Whether this process speaks for the training, where several share it."""

    @abstractmethod
    def load(self, epoch: int) -> None:
        """Makes the windows of an epoch, by its number from 0, those that `step` reads."""

    @abstractmethod
    def step(self, number: int) -> tuple[Tensor, npt.NDArray[np.int64]]:
        """Adds up the gradients of the epoch's batch `number`; returns its loss and terms `[R, 1 + T]` and its numbers of targets `[R]`."""

    @abstractmethod
    def hits(self, number: int) -> float:
        """Share of some targets of the epoch's batch `number` that the model has among its best, `diary.hit_share`; changes nothing."""

    @abstractmethod
    def clip(self, norm: float) -> None:
        """Scales each variant's gradient down to `norm`."""

    def finish(self) -> None:
        """Puts the trained weights where they belong, if that is not where they are."""
        return

    @property
    def device(self) -> torch.device:
        return next(iter(self.weights.values())).device


Records = list[list[dict[str, Any]]]
"""A history for each variant of a trainee, a record an epoch."""


def train(
    trainee: Trainee, settings: Settings, checkpoint: Checkpoint, report: Callable[[str, dict[str, Any]], None]
) -> Records:
    """Trains in place and leaves the averaged weights; returns the histories. `report` takes a variant and its record of an epoch; of the
    last epoch that was found in the checkpoint, with `resumed`.

    Goes on from `checkpoint` where that holds a started training, and ends with the same weights as if it had never stopped. Seconds in
    a record are the variant's share of the trainee's.
    """
    names, weights = zip(*trainee.weights.items(), strict=True)
    R = len(trainee.variants)
    optimizer = torch.optim.AdamW(weights, lr=settings.lr, weight_decay=settings.weight_decay, fused=True)
    average = Average(list(weights), settings.ema_decay)
    histories: Records = _resume(checkpoint, names, weights, trainee.buffers, optimizer, average) or [
        [] for _ in range(R)
    ]
    batches = trainee.slots.batches(settings.batch_size)
    steps = settings.epochs * batches
    diary = (
        Diary(trainee.variants, settings.stage, settings.epochs, batches, len(histories[0])) if trainee.leads else None
    )
    if histories[0]:
        for variant, history in zip(trainee.variants, histories, strict=True):
            report(variant, {**history[-1], "resumed": True})
    for epoch in range(len(histories[0]), settings.epochs):
        began, cpu_began = time.perf_counter(), time.process_time()
        trainee.load(epoch)
        total_RT = torch.zeros((R, 1 + len(trainee.terms)), dtype=torch.float64, device=trainee.device)
        targets_R = np.zeros(R, np.int64)
        for number in traced(range(batches), settings.stage, epoch, settings.epochs):
            step = epoch * batches + number
            for group in optimizer.param_groups:
                group["lr"] = settings.lr * (0.5 * (1 + math.cos(math.pi * step / steps)) if settings.cosine else 1.0)
            terms_RT, count_R = trainee.step(number)
            trainee.clip(settings.max_grad_norm)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            average.update(list(weights), step)
            total_RT += terms_RT.double() * torch.from_numpy(count_R).to(trainee.device, non_blocking=True)[:, None]
            targets_R += count_R
            if diary and diary.due():
                diary.line(step + 1, float(total_RT[:, 0].sum()) / max(int(targets_R.sum()), 1), trainee.hits(number))
        mean_RT = (total_RT.cpu() / torch.from_numpy(targets_R).clamp(min=1)[:, None]).tolist()
        seconds, cpu_seconds = (time.perf_counter() - began) / R, (time.process_time() - cpu_began) / R
        for variant, history, (loss, *terms), targets in zip(
            trainee.variants, histories, mean_RT, targets_R.tolist(), strict=True
        ):
            if not math.isfinite(loss):
                where = f"{settings.stage}: the loss of {variant} is {loss} in epoch {epoch + 1}"
                raise FinestError(f"{where}: training diverged; lower {settings.stage}.lr or pretrain.max_grad_norm")
            record = {
                "stage": settings.stage,
                "epoch": epoch + 1,
                "step": (epoch + 1) * batches,
                "loss": loss,
                **dict(zip(trainee.terms, terms, strict=True)),
            }
            history.append(
                {**record, "lr": group["lr"], "seconds": seconds, "cpu_seconds": cpu_seconds, "targets": targets}
            )
        checkpoint.save(_state(names, weights, trainee.buffers, optimizer, average), {"histories": histories})
        for variant, history in zip(trainee.variants, histories, strict=True):
            report(variant, history[-1])
    if diary and histories[0]:
        diary.end(sum(history[-1]["loss"] for history in histories) / R)
    average.copy_to(list(weights))
    return histories


def _state(
    names: tuple[str, ...],
    weights: tuple[Tensor, ...],
    buffers: dict[str, Tensor],
    optimizer: torch.optim.Optimizer,
    average: Average,
) -> dict[str, Tensor]:
    state = {f"buffer/{name}": buffer for name, buffer in buffers.items()}
    for name, weight, mean in zip(names, weights, average.weights, strict=True):
        state |= {f"weight/{name}": weight, f"average/{name}": mean}
        state |= {f"optimizer/{part}/{name}": value for part, value in optimizer.state[weight].items()}
    return state


@torch.no_grad()
def _resume(
    checkpoint: Checkpoint,
    names: tuple[str, ...],
    weights: tuple[Tensor, ...],
    buffers: dict[str, Tensor],
    optimizer: torch.optim.Optimizer,
    average: Average,
) -> Records:
    """Puts a saved state in place and returns its histories; none where nothing was saved."""
    saved = checkpoint.load()
    if saved is None:
        return []
    tensors, facts = saved
    for name, buffer in buffers.items():
        buffer.copy_(tensors[f"buffer/{name}"])
    for name, weight, mean in zip(names, weights, average.weights, strict=True):
        weight.copy_(tensors[f"weight/{name}"])
        mean.copy_(tensors[f"average/{name}"])
        parts = {part: f"optimizer/{part}/{name}" for part in ("step", "exp_avg", "exp_avg_sq")}
        if parts["step"] in tensors:  # not of a weight that had no gradient yet
            optimizer.state[weight] = {part: tensors[place].to(weight.device) for part, place in parts.items()}
    histories: Records = facts["histories"]
    return histories
