"""The training loop: one variant through the epochs of one stage, resumable after any of them.

Shapes: B windows of a batch, T positions, N targets of a batch.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from finest.errors import FinestError
from finest.models.recommender import Recommender
from finest.training.average import Average
from finest.training.checkpoint import Checkpoint
from finest.training.device import precision
from finest.training.objective import RankHinge, loss
from finest.training.profiling import traced
from finest.training.randomness import batches, dropout_masks
from finest.training.windows import Slots, Windows


@dataclass(frozen=True)
class Settings:
    """How a stage trains."""

    stage: str
    seed: int
    epochs: int
    batch: int
    rate: float
    cosine: bool
    """The rate falls to zero along a half cosine over the stage's steps; else it is constant."""
    decay: float
    average: float
    clip: float
    dropout: float
    amp: bool


@dataclass(frozen=True)
class Resident:
    """Windows as tensors on the training's device."""

    inputs: Tensor
    targets: Tensor
    ids: Tensor
    home: Tensor
    """On the CPU, where batches are dealt."""

    @classmethod
    def of(cls, windows: Windows, device: torch.device) -> "Resident":
        inputs, targets, ids = (torch.from_numpy(x).to(device) for x in (windows.inputs, windows.targets, windows.ids))
        return cls(inputs, targets, ids, torch.from_numpy(windows.home))


def train(
    model: Recommender,
    slots: Slots,
    windows: Callable[[int], Windows],
    settings: Settings,
    hinge: RankHinge | None,
    checkpoint: Checkpoint,
    report: Callable[[dict[str, Any]], None],
) -> list[dict[str, Any]]:
    """Trains `model` in place and leaves the averaged weights in it; returns the history, a record an epoch.

    `windows`: the epoch's windows, by its number from 0. Goes on from `checkpoint` where that holds a started training, and ends with
    the same weights as if it had never stopped.
    """
    device = model.embedding.device
    names, weights = zip(*model.named_parameters(), strict=True)
    optimizer = torch.optim.AdamW(weights, lr=settings.rate, weight_decay=settings.decay, fused=True)
    average = Average(list(weights), settings.average)
    history: list[dict[str, Any]] = _resume(checkpoint, names, weights, optimizer, average)
    steps = settings.epochs * math.ceil(slots.count / settings.batch)
    for epoch in range(len(history), settings.epochs):
        began, cpu_began = time.perf_counter(), time.process_time()
        data = Resident.of(windows(epoch), device)
        total = torch.zeros(3, dtype=torch.float64, device=device)
        targets = 0
        step = epoch * math.ceil(slots.count / settings.batch)
        dealt = batches(slots, data.home, settings.batch, settings.seed, epoch)
        for number, (window_B, extra) in enumerate(traced(dealt, settings.stage, epoch, settings.epochs)):
            for group in optimizer.param_groups:
                group["lr"] = settings.rate * (0.5 * (1 + math.cos(math.pi * step / steps)) if settings.cosine else 1.0)
            words = (settings.stage, settings.seed, epoch, number)
            terms, count = _step(model, data, window_B, extra, settings, words, hinge)
            torch.nn.utils.clip_grad_norm_(weights, settings.clip, foreach=True)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            average.update(list(weights), step)
            total += terms.double() * count
            targets += count
            step += 1
        mean = (total / max(targets, 1)).tolist()
        if not math.isfinite(mean[0]):
            where = f"{settings.stage}: the loss is {mean[0]} in epoch {epoch + 1}"
            raise FinestError(f"{where}: training diverged; lower {settings.stage}.rate or pretrain.clip")
        seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - cpu_began
        record = {"stage": settings.stage, "epoch": epoch + 1, "step": step, "loss": mean[0], "order": mean[1], "top": mean[2]}
        history.append({**record, "rate": group["lr"], "seconds": seconds, "cpu_seconds": cpu_seconds, "targets": targets})
        checkpoint.save(_state(names, weights, optimizer, average), {"history": history})
        report(history[-1])
    average.copy_to(list(weights))
    return history


def _step(
    model: Recommender, data: Resident, window_B: Tensor, extra: int, settings: Settings, words: tuple, hinge: RankHinge | None
) -> tuple[Tensor, int]:
    """Gradients of one batch; its loss terms `[3]` and its number of targets."""
    device = model.embedding.device
    window_B = window_B.to(device)
    inputs_BT, targets_BT, ids_BT = data.inputs[window_B], data.targets[window_B].view(-1), data.ids[window_B].view(-1)
    place_N = torch.nonzero(targets_BT)[:, 0]
    if len(place_N) == 0:  # slots of users without a target
        return torch.zeros(3, device=device), 0
    masks = None
    if settings.dropout:
        shape = (model.sites, *inputs_BT.shape, model.embedding.shape[1])
        masks = dropout_masks(shape, extra, settings.dropout, words, device)
    with precision(device, settings.amp):
        hidden_BTD = model.encode(inputs_BT, masks)
        scores_NI = model.scores(hidden_BTD.flatten(0, 1).index_select(0, place_N))
    terms = loss(scores_NI.float(), targets_BT[place_N], ids_BT[place_N], hinge)
    terms[0].backward()
    return terms.detach(), len(place_N)


def _state(names: tuple, weights: tuple, optimizer: torch.optim.Optimizer, average: Average) -> dict[str, Tensor]:
    state: dict[str, Tensor] = {}
    for name, weight, mean in zip(names, weights, average.weights, strict=True):
        state |= {f"weight/{name}": weight, f"average/{name}": mean}
        state |= {f"optimizer/{part}/{name}": value for part, value in optimizer.state[weight].items()}
    return state


@torch.no_grad()
def _resume(checkpoint: Checkpoint, names: tuple, weights: tuple, optimizer: torch.optim.Optimizer, average: Average) -> list:
    """Puts a saved state in place and returns its history; an empty one where nothing was saved."""
    saved = checkpoint.load()
    if saved is None:
        return []
    tensors, facts = saved
    for name, weight, mean in zip(names, weights, average.weights, strict=True):
        weight.copy_(tensors[f"weight/{name}"])
        mean.copy_(tensors[f"average/{name}"])
        parts = {part: tensors[f"optimizer/{part}/{name}"] for part in ("step", "exp_avg", "exp_avg_sq")}
        optimizer.state[weight] = {part: value.to(weight.device) for part, value in parts.items()}
    return facts["history"]
