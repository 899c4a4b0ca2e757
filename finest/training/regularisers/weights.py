"""Weights of a list's places, which fall as RBO's do."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def geometric(p: float, places: int, like: "Tensor") -> "Tensor":
    """Returns weights `[places]` that are each `p` times the one before, and 1 in sum, on the device of `like`."""
    import torch

    weight = p ** torch.arange(places, dtype=torch.float64, device=like.device)
    return (weight / weight.sum()).to(like.dtype)
