"""Computes what training minimises: cross-entropy over the catalogue, and in fine-tuning a regulariser of list scores.

A loss against drawn items is in finest/training/sampled.py; the regulariser beside it is here, then without
cross-entropy.

Shapes: N targets, M of them with a reference list, L items of a list, I items, T terms of the regulariser; in a stack R
replicas and P positions.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import reduce
from operator import add
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from finest.training.reference_lists import ReferenceLists
from finest.training.regularisers.base import Regulariser


@dataclass(frozen=True)
class Penalty:
    """Holds what fine-tuning adds to the loss: which lists are kept, by which regulariser, and how much that counts."""

    regulariser: Regulariser
    lists: ReferenceLists
    alpha: float
    """Weight of the regulariser against the loss."""

    def to(self, device: torch.device | str) -> "Penalty":
        """Returns the penalty with its lists on another device."""
        return replace(self, lists=self.lists.to(device))


def total(loss: Tensor, terms: Sequence[Tensor], alpha: float) -> Tensor:
    """Returns the loss plus `alpha` times the sum of the regulariser's terms."""
    return loss + alpha * reduce(add, terms) if terms else loss


class _Loss(torch.autograd.Function):
    """Computes the loss and its gradient at once, into one buffer of the scores' shape.

    A row's share in a mean is one over its count; rows of an infinite count stand for nothing.
    """

    @staticmethod
    def forward(
        ctx: Any,
        scores_NI: Tensor,
        target_N: Tensor,
        count_N: Tensor,
        held_M: Tensor,
        lists_ML: Tensor,
        held_count_M: Tensor,
        penalty: Penalty | None,
        replicas: int,
        cross_entropy: bool,
    ) -> Tensor:
        if cross_entropy:
            gradient_NI = scores_NI.softmax(1)
            own_N1 = (target_N - 1).clamp_(min=0)[:, None]
            own_N = gradient_NI.gather(1, own_N1)[:, 0].clamp_min(torch.finfo(torch.float32).tiny)
            next_R = (-own_N.log() / count_N).view(replicas, -1).sum(1)
            gradient_NI.scatter_add_(1, own_N1, torch.full_like(own_N1, -1, dtype=gradient_NI.dtype))
            gradient_NI /= count_N[:, None]
        else:
            gradient_NI, next_R = torch.zeros_like(scores_NI), scores_NI.new_zeros(replicas)
        terms_R, alpha = [torch.zeros_like(next_R) for _ in terms_of(penalty)], penalty.alpha if penalty else 0.0
        if penalty and len(held_M):
            place_ML = held_M[:, None] * scores_NI.shape[1] + lists_ML
            terms_M, change_ML = penalty.regulariser(scores_NI.view(-1)[place_ML], held_count_M[:, None], alpha)
            terms_R = [term_M.view(replicas, -1).sum(1) for term_M in terms_M]
            gradient_NI.view(-1).scatter_add_(0, place_ML.view(-1), change_ML.view(-1))
        ctx.save_for_backward(gradient_NI)
        return torch.stack([total(next_R, terms_R, alpha), *terms_R], 1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, ...]:
        (gradient_NI,) = ctx.saved_tensors
        (upstream_RT,) = upstream
        gradient = gradient_NI.view(len(upstream_RT), -1).mul_(upstream_RT[:, :1])
        return gradient.view_as(gradient_NI), *[None] * 8


def loss(
    scores_NI: Tensor,
    target_N: Tensor,
    ids_N: Tensor,
    penalty: Penalty | None,
    counts: tuple[int, int] | None = None,
    cross_entropy: bool = True,
) -> Tensor:
    """Computes the loss of one training's targets.

    Means are over targets, the regulariser's over those with a list, so its weight does not depend on the batch.

    Args:
        scores_NI: Scores of all items at each target.
        target_N: Item codes, from 1.
        ids_N: Clean row ids of the targets; -1 for a simulated one.
        penalty: What is added to the loss.
        counts: Numbers of targets and of lists in the whole batch, where these are a part of it.
        cross_entropy: Whether cross-entropy counts; not where another loss stands in its place.

    Returns:
        `[1 + T]`, the loss and the regulariser's terms, which are for the record. Only the loss has a gradient, for one
        backward pass.
    """
    targets, held = counts or (len(target_N), None)
    count_N = scores_NI.new_full((len(target_N),), targets)
    if penalty is None:
        nothing = target_N.new_empty(0)
        return _apply(scores_NI, target_N, count_N, nothing, nothing.view(0, 2), nothing, None, 1, cross_entropy)[0]
    held_M, lists_ML = penalty.lists.lists_of(ids_N)
    held_count_M = scores_NI.new_full((len(held_M),), len(held_M) if held is None else held)
    return _apply(scores_NI, target_N, count_N, held_M, lists_ML, held_count_M, penalty, 1, cross_entropy)[0]


def stacked_loss(
    scores_RPI: Tensor,
    target_RP: Tensor,
    ids_RP: Tensor,
    count_R: Tensor,
    penalty: Penalty | None,
    held_R: Tensor | None,
    cross_entropy: bool = True,
) -> Tensor:
    """Computes the loss of a part of a stack's batch.

    A position without a target (code 0) stands for nothing, so that every shape is the same whatever the replicas' rows
    are.

    Args:
        scores_RPI: Scores of all items at each position.
        target_RP: Item codes; 0 for no target.
        ids_RP: Clean row ids of the targets; -1 for a simulated one.
        count_R: Number of targets in the whole batch, which means are over.
        penalty: What is added to the loss.
        held_R: Number of lists in the whole batch, which the regulariser's means are over.
        cross_entropy: Whether cross-entropy counts; not where another loss stands in its place.

    Returns:
        `[R, 1 + T]`, as `loss` gives for each replica.
    """
    R, P, I = scores_RPI.shape
    count_N = torch.where(target_RP > 0, count_R[:, None], torch.inf).view(-1)
    rows = scores_RPI.view(R * P, I), target_RP.reshape(-1), count_N
    if penalty is None or held_R is None:
        nothing = count_N.new_empty(0, dtype=torch.long)
        return _apply(*rows, nothing, nothing.view(0, 2), nothing, None, R, cross_entropy)
    held_RP, lists_ML = penalty.lists.stacked_lists_of(ids_RP)
    held_count_M = torch.where(held_RP, held_R[:, None].to(count_N), torch.inf).view(-1)
    every = torch.arange(R * P, device=count_N.device)
    return _apply(*rows, every, lists_ML, held_count_M, penalty, R, cross_entropy)


def _apply(*arguments: Any) -> Tensor:
    return _Loss.apply(*arguments)


def terms_of(penalty: Penalty | None) -> dict[str, str]:
    """Returns the terms that a training's history has beside its loss, with their metrics in MLflow."""
    return dict(penalty.regulariser.terms) if penalty else {}
