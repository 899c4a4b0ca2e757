"""What training minimises: cross-entropy over the catalogue, and FINEST's hinge on reference lists (arXiv 2402.03481, section 4).

Shapes: N targets, M of them with a reference list, I items, K items whose order is kept.
"""

from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


class Hinge(Protocol):
    """FINEST's regulariser, wherever its reference lists come from."""

    @property
    def alpha(self) -> float: ...

    @property
    def margin(self) -> float: ...

    def lists_of(self, ids_N: Tensor) -> tuple[Tensor, Tensor]:
        """Which of the N targets, by clean row ids, have a list `[M]` ascending, and the lists `[M, 2K]`: columns of the score matrix."""


@dataclass(frozen=True)
class RankHinge:
    """The regulariser with stored lists. `lists_R2K`: reference lists by row, int32 columns of the score matrix, top K then the K after
    them; `of_row`: [clean rows] which list is a clean row's, -1 for none. Lists may stay on the CPU, mapped from disk."""

    lists_R2K: Tensor
    of_row: Tensor
    alpha: float
    margin: float

    def lists_of(self, ids_N: Tensor) -> tuple[Tensor, Tensor]:
        list_N = torch.where(ids_N >= 0, self.of_row[ids_N.clamp(min=0)], -1)
        held_M = torch.nonzero(list_N >= 0)[:, 0]
        list_M = list_N[held_M].to(self.lists_R2K.device)
        return held_M, self.lists_R2K[list_M].to(ids_N.device).long()


def hinge_terms(scores_M2K: Tensor, lists: int, alpha: float, margin: float) -> tuple[Tensor, Tensor, Tensor]:
    """The hinge's two terms, means over `lists` lists of which these are all or some, and the gradient `[M, 2K]` of `alpha` times both."""
    K = scores_M2K.shape[1] // 2
    order_MK = margin - scores_M2K[:, : K - 1] + scores_M2K[:, 1:K]
    top_MK = margin - scores_M2K[:, :K] + scores_M2K[:, K:]
    order, top = order_MK.clamp_min(0).sum() / (lists * (K - 1)), top_MK.clamp_min(0).sum() / (lists * K)
    order_MK, top_MK = (order_MK > 0) * (alpha / (lists * (K - 1))), (top_MK > 0) * (alpha / (lists * K))
    change_M2K = torch.zeros_like(scores_M2K)
    change_M2K[:, : K - 1] -= order_MK
    change_M2K[:, 1:K] += order_MK
    change_M2K[:, :K] -= top_MK
    change_M2K[:, K:] += top_MK
    return order, top, change_M2K


class _Loss(torch.autograd.Function):
    """Both terms with their gradient written once, into one buffer of the scores' shape."""

    @staticmethod
    def forward(ctx: Any, scores_NI: Tensor, target_N: Tensor, held_M: Tensor, lists_M2K: Tensor, alpha: float, margin: float) -> Tensor:
        N = len(target_N)
        gradient_NI = scores_NI.softmax(1)
        own_N1 = (target_N - 1)[:, None]
        next_loss = -gradient_NI.gather(1, own_N1).clamp_min(torch.finfo(torch.float32).tiny).log().mean()
        gradient_NI.scatter_add_(1, own_N1, torch.full_like(own_N1, -1, dtype=gradient_NI.dtype))
        gradient_NI /= N
        order = top = scores_NI.new_zeros(())
        if len(held_M):
            scores_M2K = scores_NI.index_select(0, held_M).gather(1, lists_M2K)
            order, top, change_M2K = hinge_terms(scores_M2K, len(held_M), alpha, margin)
            row_M2K = held_M[:, None] * scores_NI.shape[1] + lists_M2K
            gradient_NI.view(-1).scatter_add_(0, row_M2K.view(-1), change_M2K.view(-1))
        ctx.save_for_backward(gradient_NI)
        ctx.mark_non_differentiable()
        return torch.stack([next_loss + alpha * (order + top), order, top])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, ...]:
        (gradient_NI,) = ctx.saved_tensors
        return gradient_NI * upstream[0][0], None, None, None, None, None


def loss(scores_NI: Tensor, target_N: Tensor, ids_N: Tensor, hinge: Hinge | None) -> Tensor:
    """The loss, and the hinge's two terms for the record `[3]`; only the first has a gradient.

    `target_N`: item codes; `ids_N`: clean row ids of the targets. Means over targets, the hinge's over those with a list, so the
    regulariser's weight does not depend on the batch.
    """
    if hinge is None:
        nothing = target_N.new_empty(0)
        return _Loss.apply(scores_NI, target_N, nothing, nothing.view(0, 2), 0.0, 0.0)
    held_M, lists_M2K = hinge.lists_of(ids_N)
    return _Loss.apply(scores_NI, target_N, held_M, lists_M2K, hinge.alpha, hinge.margin)
