"""Trains a variant, or several as one, through the epochs of one stage, resumable after any of them.

Shapes: R variants, T loss terms.
"""

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from finest.errors import FinestError
from finest.profiling.profiler import traced
from finest.training.checkpoint import Checkpoint
from finest.training.diary import Diary
from finest.training.losses.base import Loss
from finest.training.losses.cross_entropy import CrossEntropy, CrossEntropyConfig
from finest.training.windows import WindowPlan


@dataclass(frozen=True)
class Settings:
    """Holds how a stage trains."""

    stage: str
    """`pretrain` or `finetune`."""
    seed: int
    epochs: int
    """Number of epochs, the last of which `steps` may cut short."""
    batch_size: int
    lr: float
    cosine: bool
    """Whether the learning rate falls to zero along a half cosine over the stage's steps; else it is constant."""
    weight_decay: float
    ema_decay: float
    max_grad_norm: float
    dropout: float
    amp: bool
    parallel: int = 1
    """Number of devices that share a training."""
    steps: int | None = None
    """Number of steps in all; unset: all of the epochs'."""
    loss: Loss = field(default_factory=lambda: CrossEntropy(CrossEntropyConfig()))
    """What is minimised, beside fine-tuning's penalty."""


class Watch(ABC):
    """Looks at a training now and then, and ends it. A state is the model's, by name, with the averaged weights."""

    best: Mapping[str, Tensor]
    """The state that is kept."""

    @property
    @abstractmethod
    def over(self) -> bool:
        """Returns whether the training ends."""

    @abstractmethod
    def due(self, step: int) -> bool:
        """Returns whether it is to look after so many steps."""

    @abstractmethod
    def look(self, step: int, state: Mapping[str, Tensor]) -> None:
        """Looks at the state after so many steps."""

    @abstractmethod
    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Returns what a checkpoint keeps of it: tensors by name, and facts that JSON can hold."""

    @abstractmethod
    def resume(self, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
        """Puts what `state` returned in place."""


class Trainer(ABC):
    """Computes the gradients that the loop steps by: of a variant's model, or of several variants' as one stack."""

    weights: dict[str, Tensor]
    """Weights by name, trained in place."""
    buffers: dict[str, Tensor]
    """The rest of the model's state, which a step may change but no gradient moves."""
    window_plan: WindowPlan
    """Slots of the clean windows."""
    variants: Sequence[str]
    """[R] names of the variants."""
    terms: Sequence[str]
    """Names of the T loss terms beside the loss itself."""
    leads = True
    """Whether this process speaks for the training, where several share it."""

    @abstractmethod
    def load(self, epoch: int) -> None:
        """Makes the windows of an epoch, by its number from 0, those that `step` reads."""

    @abstractmethod
    def step(self, number: int) -> tuple[Tensor, npt.NDArray[np.int64]]:
        """Adds up the gradients of the epoch's batch `number`.

        Returns:
            Its loss and terms `[R, 1 + T]`, and its numbers of targets `[R]`.
        """

    @abstractmethod
    def hits(self, number: int) -> float:
        """Returns the share of hits among some targets of the epoch's batch `number`, by `diary.hit_share`.

        Nothing is changed by it.
        """

    @abstractmethod
    def clip(self, norm: float) -> None:
        """Scales each variant's gradient down to `norm`."""

    def finish(self) -> None:
        """Puts the trained weights where they belong, if that is not where they are."""
        return

    @property
    def device(self) -> torch.device:
        """Returns the device that the weights are on."""
        return next(iter(self.weights.values())).device


class Average:
    """Averages weights exponentially, with decay min(`decay`, (1 + t) / (10 + t)) at step t.

    The average is the model that is kept; the first steps are soon forgotten.
    """

    def __init__(self, weights: list[Tensor], decay: float):
        self.decay = decay
        self.weights = [weight.detach().clone() for weight in weights]

    @torch.no_grad()
    def update(self, weights: list[Tensor], step: int) -> None:
        """Takes the weights after optimizer step `step`, from 0, into the average."""
        decay = min(self.decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(self.weights, list(weights), 1 - decay)

    @torch.no_grad()
    def copy_to(self, weights: list[Tensor]) -> None:
        """Puts the averages in place of `weights`."""
        torch._foreach_copy_(list(weights), self.weights)


Records = list[list[dict[str, Any]]]
"""Histories of a trainer's variants, each a record an epoch."""


def train(
    trainer: Trainer,
    settings: Settings,
    checkpoint: Checkpoint,
    report: Callable[[str, dict[str, Any]], None],
    watch: Watch | None = None,
) -> Records:
    """Trains in place, leaves the averaged weights, or those that `watch` keeps, and returns the histories.

    Goes on from `checkpoint` where that holds a started training, and ends with the same weights as if it had never
    stopped. Seconds in a record are the variant's share of the trainer's.

    Args:
        trainer: What is trained.
        settings: How it is trained.
        checkpoint: Where its state is saved after every epoch.
        report: Told a variant and its record of an epoch; of the last epoch that was found in the checkpoint, with
            `resumed`.
        watch: What may end it before it has taken all steps. It looks after the last step in any case.
    """
    names, weights = zip(*trainer.weights.items(), strict=True)
    R = len(trainer.variants)
    optimizer = torch.optim.AdamW(weights, lr=settings.lr, weight_decay=settings.weight_decay, fused=True)
    average = Average(list(weights), settings.ema_decay)
    histories: Records = _resume(checkpoint, names, weights, trainer.buffers, optimizer, average, watch) or [
        [] for _ in range(R)
    ]
    batches = trainer.window_plan.batches(settings.batch_size)
    steps = settings.steps or settings.epochs * batches
    begun = histories[0][-1]["step"] if histories[0] else 0
    diary = Diary(trainer.variants, settings.stage, batches, steps, begun, watch is not None) if trainer.leads else None
    if histories[0]:
        for variant, history in zip(trainer.variants, histories, strict=True):
            report(variant, {**history[-1], "resumed": True})
    for epoch in range(len(histories[0]), settings.epochs):
        if watch and watch.over:
            break
        began, cpu_began = time.perf_counter(), time.process_time()
        trainer.load(epoch)
        total_RT = torch.zeros((R, 1 + len(trainer.terms)), dtype=torch.float64, device=trainer.device)
        targets_R = np.zeros(R, np.int64)
        for number in traced(range(min(batches, steps - epoch * batches)), settings.stage, epoch, settings.epochs):
            step = epoch * batches + number
            for group in optimizer.param_groups:
                group["lr"] = settings.lr * (0.5 * (1 + math.cos(math.pi * step / steps)) if settings.cosine else 1.0)
            terms_RT, count_R = trainer.step(number)
            trainer.clip(settings.max_grad_norm)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            average.update(list(weights), step)
            total_RT += terms_RT.double() * torch.from_numpy(count_R).to(trainer.device, non_blocking=True)[:, None]
            targets_R += count_R
            if diary and diary.due():
                diary.line(step + 1, float(total_RT[:, 0].sum()) / max(int(targets_R.sum()), 1), trainer.hits(number))
            if watch and (watch.due(step + 1) or step + 1 == steps):
                watch.look(step + 1, trainer.buffers | dict(zip(names, average.weights, strict=True)))
                if watch.over:
                    break
        mean_RT = (total_RT.cpu() / torch.from_numpy(targets_R).clamp(min=1)[:, None]).tolist()
        seconds, cpu_seconds = (time.perf_counter() - began) / R, (time.process_time() - cpu_began) / R
        for variant, history, (loss, *terms), targets in zip(
            trainer.variants, histories, mean_RT, targets_R.tolist(), strict=True
        ):
            if not math.isfinite(loss):
                where = f"{settings.stage}: the loss of {variant} is {loss} in epoch {epoch + 1}"
                raise FinestError(f"{where}: training diverged; lower {settings.stage}.lr or pretrain.max_grad_norm")
            record = {
                "stage": settings.stage,
                "epoch": epoch + 1,
                "step": step + 1,
                "loss": loss,
                **dict(zip(trainer.terms, terms, strict=True)),
            }
            history.append(
                {**record, "lr": group["lr"], "seconds": seconds, "cpu_seconds": cpu_seconds, "targets": targets}
            )
        watched, seen = watch.state() if watch else ({}, {})
        state = _state(names, weights, trainer.buffers, optimizer, average)
        checkpoint.save({**state, **watched}, {"histories": histories, **seen})
        for variant, history in zip(trainer.variants, histories, strict=True):
            report(variant, history[-1])
    if diary and histories[0]:
        diary.end(histories[0][-1]["step"], sum(history[-1]["loss"] for history in histories) / R)
    average.copy_to(list(weights))
    if watch:
        _put(watch.best, trainer.weights | trainer.buffers)
    return histories


@torch.no_grad()
def _put(state: Mapping[str, Tensor], into: Mapping[str, Tensor]) -> None:
    for name, tensor in into.items():
        tensor.copy_(state[name])


def _state(
    names: tuple[str, ...],
    weights: tuple[Tensor, ...],
    buffers: dict[str, Tensor],
    optimizer: torch.optim.Optimizer,
    average: Average,
) -> dict[str, Tensor]:
    # A copy each: a file has no room for two names of one tensor, as tied buffers are.
    state = {f"buffer/{name}": buffer.clone() for name, buffer in buffers.items()}
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
    watch: Watch | None,
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
    if watch:
        watch.resume(tensors, facts)
    histories: Records = facts["histories"]
    return histories
