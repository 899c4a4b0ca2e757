"""Common random numbers: everything random that is not the perturbation is the same in two trainings of one seed.

Shapes: B windows of a batch, S dropout sites, T positions, D hidden units.
"""

import torch
from torch import Tensor

from finest.keys import torch_generator
from finest.training.windows import Slots


def batches(slots: Slots, home_E: Tensor, size: int, seed: int, epoch: int) -> list[tuple[Tensor, int]]:
    """The epoch's batches on the CPU: window numbers, and how many of them, the last, are extra ones.

    One permutation of slots, keyed by (seed, epoch): edits never move it. Extra windows ride with the slot that overflowed.
    """
    order = torch.randperm(slots.count, generator=torch_generator("order", seed, epoch))
    place = torch.empty_like(order)
    place[order] = torch.arange(slots.count)
    batch_of_extra = place[home_E] // size
    result = []
    for number, batch in enumerate(order.split(size)):
        extra = torch.nonzero(batch_of_extra == number)[:, 0]
        result.append((torch.cat([batch, slots.count + extra]), len(extra)))
    return result


def dropout_masks(shape: tuple[int, int, int, int], extra: int, p: float, words: tuple[str | int, ...], device: torch.device) -> Tensor:
    """Masks `[S, B, T, D]` of 0 and 1 / (1 - p). The batch's `extra` last windows draw from a stream of their own, so that they leave
    the slots' masks as they are."""
    S, B, T, D = shape

    def draw(windows: int, stream: str) -> Tensor:
        uniform = torch.rand(S, windows, T, D, generator=torch_generator("dropout", stream, *words, device=device), device=device)
        return uniform.ge_(p).mul_(1 / (1 - p))

    masks_SBTD = draw(B - extra, "slots")
    return torch.cat([masks_SBTD, draw(extra, "extra")], 1) if extra else masks_SBTD
