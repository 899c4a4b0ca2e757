"""Layers for the weights of one model, or of R models stacked in front of each weight, which then compute as one.

One model: x [..., D], weight [E, D]. Stacked: x [R, ..., D], weight [R, E, D]; replica r of the result depends on
replica r alone.
"""

from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Start = Literal["normal", "zeros", "ones"]
"""How a parameter starts: normal numbers around 0 from a stream of its own, all 0, or all 1."""


def parameter(start: Start, *shape: int) -> nn.Parameter:
    """Returns a parameter of a model, which says how `Recommender.initialise` starts it.

    Parameters of torch's own modules need no such word: these start themselves.
    """
    if start not in get_args(Start):
        raise ValueError(f"a parameter starts as one of {', '.join(get_args(Start))}, not {start}")
    made = nn.Parameter(torch.ones(shape) if start == "ones" else torch.zeros(shape))
    made.start = start  # type: ignore[attr-defined]
    return made


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Returns x times the weight's transpose, plus bias if any: `[..., E]`."""
    if weight.dim() == 2:
        return F.linear(x, weight, bias)
    flat_RMD = x.reshape(len(weight), -1, x.shape[-1])
    if bias is None:
        return torch.bmm(flat_RMD, weight.transpose(1, 2)).view(*x.shape[:-1], weight.shape[1])
    return torch.baddbmm(bias[:, None], flat_RMD, weight.transpose(1, 2)).view(*x.shape[:-1], weight.shape[1])


def normal(x: Tensor, gain: Tensor, shift: Tensor) -> Tensor:
    """Returns x normalised over the last axis, times gain, plus shift."""
    if gain.dim() == 1:
        return F.layer_norm(x, gain.shape, gain, shift)
    between = (len(gain), *[1] * (x.dim() - 2), gain.shape[-1])
    return torch.addcmul(shift.view(between), F.layer_norm(x, gain.shape[-1:]), gain.view(between))


def lookup(codes: Tensor, table: Tensor) -> Tensor:
    """Returns rows of an embedding `[*codes.shape, D]`; stacked: codes [R, ...], table [R, I, D]."""
    if table.dim() == 2:
        return F.embedding(codes, table)
    first_R = torch.arange(len(table), device=codes.device) * table.shape[1]
    return F.embedding(codes + first_R.view(-1, *[1] * (codes.dim() - 1)), table.flatten(0, 1))
