"""Draws common random numbers: all that is random, but for the perturbation, is equal in two trainings of one seed.

Shapes: W slots, B windows of a batch, E extra windows, S dropout sites, T positions, D hidden units.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from finest.data.dataset import Ints
from finest.keys import torch_generator
from finest.training.windows import WindowPlan

Shape = tuple[int, int, int, int]
Words = tuple[str | int, ...]


def slot_order(window_plan: WindowPlan, size: int, seed: int, epoch: int) -> tuple[Tensor, Ints]:
    """Draws the order of an epoch's slots, keyed by (seed, epoch): edits never move them.

    Args:
        window_plan: The slots.
        size: Number of slots of a batch, as `WindowPlan.shapes` takes it.
        seed: Seed of the variant.
        epoch: Number of the epoch, from 0.

    Returns:
        Slots in their order `[W]`, batch after batch, and the batch of each slot `[W]`, which its extra windows join.
    """
    drawn_W = torch.randperm(window_plan.count, generator=torch_generator("order", seed, epoch))
    width_W, (width_Q, count_Q) = window_plan.width[drawn_W.numpy()], window_plan.shapes(size)
    batch_W = np.empty(window_plan.count, np.int64)
    for width in np.unique(width_Q):
        its = np.flatnonzero(width_Q == width)
        batch_W[width_W == width] = np.repeat(its, count_Q[its])
    of_slot_W = np.empty(window_plan.count, np.int64)
    of_slot_W[drawn_W.numpy()] = batch_W
    return drawn_W[torch.from_numpy(np.argsort(batch_W, kind="stable"))], of_slot_W


class Batch(NamedTuple):
    """Holds a batch's window numbers, how many of them, the last, are extra ones, and the number of positions."""

    window_B: Tensor
    extra: int
    width: int


def batches(window_plan: WindowPlan, slot_of_extra_E: Ints, size: int, seed: int, epoch: int) -> list[Batch]:
    """Returns the epoch's batches, on the CPU. Extra windows join the batch of the slot that overflowed."""
    (order_W, of_slot_W), (width_Q, count_Q) = slot_order(window_plan, size, seed, epoch), window_plan.shapes(size)
    batch_of_extra = torch.from_numpy(of_slot_W[slot_of_extra_E])
    result = []
    for number, (batch, width) in enumerate(zip(order_W.split(count_Q.tolist()), width_Q.tolist(), strict=True)):
        extra = torch.nonzero(batch_of_extra == number)[:, 0]
        result.append(Batch(torch.cat([batch, window_plan.count + extra]), len(extra), width))
    return result


def dropout_masks(shape: Shape, extra: int, p: float, words: Words, device: torch.device) -> Tensor:
    """Draws masks `[S, B, T, D]` of 0 and 1 / (1 - p).

    The batch's `extra` last windows draw from streams of their own, so that they leave the slots' masks as they are.
    """
    S, B, T, D = shape
    masks_SBTD = _draw((S, B - extra, T, D), p, ("slots", *words), device)
    return torch.cat([masks_SBTD, extra_masks((S, extra, T, D), 0, p, words, device)], 1) if extra else masks_SBTD


def extra_masks(shape: Shape, first: int, p: float, words: Words, device: torch.device) -> Tensor:
    """Draws the masks of a batch's extra windows from number `first` on.

    Each has a stream of its own, so that its mask is the same whichever others are in the batch.
    """
    S, E, T, D = shape
    return torch.cat(
        [_draw((S, 1, T, D), p, ("extra", number, *words), device) for number in range(first, first + E)], 1
    )


def _draw(shape: Shape, p: float, words: Words, device: torch.device) -> Tensor:
    uniform = torch.rand(shape, generator=torch_generator("dropout", *words, device=device), device=device)
    return uniform.ge_(p).mul_(1 / (1 - p))


def negatives(number: int, items: int, words: Words, device: torch.device) -> Tensor:
    """Draws the codes of a batch's negatives `[C]`, each at most once; all where there are no more than `number`."""
    generator = torch_generator("negatives", *words, device=device)
    return torch.randperm(items, generator=generator, device=device)[:number] + 1


def uniforms(shape: tuple[int, int], extra: int, words: Words, device: torch.device) -> Tensor:
    """Returns uniform random numbers `[B, T]` in [0, 1) for a batch's windows.

    Its `extra` last windows draw from streams of their own, so that they leave the slots' numbers as they are.
    """
    B, T = shape
    keys = [(B - extra, ("slots",)), *((1, ("extra", number)) for number in range(extra))]
    parts = [
        torch.rand(count, T, generator=torch_generator("task", *place, *words, device=device), device=device)
        for count, place in keys
    ]
    return torch.cat(parts)
