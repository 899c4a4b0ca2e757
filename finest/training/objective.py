"""What training minimises: cross-entropy over the catalogue, and FINEST's hinge on reference lists (arXiv 2402.03481, section 4).

Shapes: N targets, M of them with a reference list, L lists, I items, K items whose order is kept; in a stack R replicas and P positions.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


class Hinge(ABC):
    """FINEST's regulariser, wherever its reference lists come from. Lists are columns of the score matrix, top K then the K after them."""

    alpha: float
    margin: float

    @abstractmethod
    def lists_of(self, ids_N: Tensor) -> tuple[Tensor, Tensor]:
        """Which of the N targets, by clean row ids, have a list `[M]` ascending, and the lists `[M, 2K]`."""

    @abstractmethod
    def held(self, ids: Tensor) -> Tensor:
        """Whether each target has a list; in a stack `[R, P]`."""

    @abstractmethod
    def to(self, device: torch.device | str) -> "Hinge":
        """The same on another device."""

    def stacked_lists_of(self, ids_RP: Tensor) -> tuple[Tensor, Tensor]:
        """Which targets of a stack have a list `[R, P]`, and lists for all `[R x P, 2K]`, anyone's for those without."""
        held_M, lists_M2K = self.lists_of(ids_RP.reshape(-1))
        lists = lists_M2K.new_zeros(ids_RP.numel(), lists_M2K.shape[1])
        lists[held_M] = lists_M2K
        return self.held(ids_RP), lists


@dataclass(frozen=True)
class RankHinge(Hinge):
    """The regulariser with stored lists, which may stay on the CPU, mapped from disk. `lists_L2K`: int32; `of_row`: [clean rows] which
    list is a clean row's, -1 for none."""

    lists_L2K: Tensor
    of_row: Tensor
    alpha: float
    margin: float

    def to(self, device: torch.device | str) -> "RankHinge":
        """The same on another device."""
        return RankHinge(self.lists_L2K.to(device), self.of_row.to(device), self.alpha, self.margin)

    def lists_of(self, ids_N: Tensor) -> tuple[Tensor, Tensor]:
        list_N = self._list(ids_N)
        held_M = torch.nonzero(list_N >= 0)[:, 0]
        return held_M, self._lists(list_N[held_M])

    def held(self, ids: Tensor) -> Tensor:
        return self._list(ids) >= 0

    def stacked_lists_of(self, ids_RP: Tensor) -> tuple[Tensor, Tensor]:
        list_RP = self._list(ids_RP)
        return list_RP >= 0, self._lists(list_RP.clamp(min=0).view(-1))

    def _list(self, ids: Tensor) -> Tensor:
        return torch.where(ids >= 0, self.of_row[ids.clamp(min=0)], -1)

    def _lists(self, list_M: Tensor) -> Tensor:
        return self.lists_L2K[list_M.to(self.lists_L2K.device)].to(list_M.device).long()


@dataclass(frozen=True)
class EachOwn(Hinge):
    """In a stack: a regulariser for each replica, with lists of its own."""

    hinges: list[Hinge]

    @property
    def alpha(self) -> float:  # type: ignore[override]
        return self.hinges[0].alpha

    @property
    def margin(self) -> float:  # type: ignore[override]
        return self.hinges[0].margin

    def lists_of(self, ids_N: Tensor) -> tuple[Tensor, Tensor]:
        (only,) = self.hinges
        return only.lists_of(ids_N)

    def held(self, ids: Tensor) -> Tensor:
        return torch.stack([hinge.held(row) for hinge, row in zip(self.hinges, ids, strict=True)])

    def to(self, device: torch.device | str) -> "EachOwn":
        return EachOwn([hinge.to(device) for hinge in self.hinges])

    def stacked_lists_of(self, ids_RP: Tensor) -> tuple[Tensor, Tensor]:
        parts = [hinge.stacked_lists_of(row[None]) for hinge, row in zip(self.hinges, ids_RP, strict=True)]
        held, lists = zip(*parts, strict=True)
        return torch.cat(held), torch.cat(lists)


def hinge_terms(scores_M2K: Tensor, lists: Tensor | int, alpha: float, margin: float) -> tuple[Tensor, Tensor, Tensor]:
    """The hinge's two terms of each list `[M]`, as shares of a mean over `lists` (`[M, 1]` where that differs), and the gradient `[M, 2K]`
    of `alpha` times the sum of both."""
    K = scores_M2K.shape[1] // 2
    order_MK = margin - scores_M2K[:, : K - 1] + scores_M2K[:, 1:K]
    top_MK = margin - scores_M2K[:, :K] + scores_M2K[:, K:]
    orders, tops = lists * (K - 1), lists * K
    order_M, top_M = (order_MK.clamp_min(0) / orders).sum(1), (top_MK.clamp_min(0) / tops).sum(1)
    order_MK, top_MK = (order_MK > 0) * (alpha / orders), (top_MK > 0) * (alpha / tops)
    change_M2K = torch.zeros_like(scores_M2K)
    change_M2K[:, : K - 1] -= order_MK
    change_M2K[:, 1:K] += order_MK
    change_M2K[:, :K] -= top_MK
    change_M2K[:, K:] += top_MK
    return order_M, top_M, change_M2K


class _Loss(torch.autograd.Function):
    """Both terms with their gradient written once, into one buffer of the scores' shape. A row's share in a mean is one over its count;
    rows of an infinite count stand for nothing."""

    @staticmethod
    def forward(
        ctx: Any,
        scores_NI: Tensor,
        target_N: Tensor,
        count_N: Tensor,
        held_M: Tensor,
        lists_M2K: Tensor,
        held_count_M: Tensor,
        alpha: float,
        margin: float,
        replicas: int,
    ) -> Tensor:
        gradient_NI = scores_NI.softmax(1)
        own_N1 = (target_N - 1).clamp_(min=0)[:, None]
        own_N = gradient_NI.gather(1, own_N1)[:, 0].clamp_min(torch.finfo(torch.float32).tiny)
        next_R = (-own_N.log() / count_N).view(replicas, -1).sum(1)
        gradient_NI.scatter_add_(1, own_N1, torch.full_like(own_N1, -1, dtype=gradient_NI.dtype))
        gradient_NI /= count_N[:, None]
        order_R = top_R = torch.zeros_like(next_R)
        if len(held_M):
            place_M2K = held_M[:, None] * scores_NI.shape[1] + lists_M2K
            order_M, top_M, change_M2K = hinge_terms(
                scores_NI.view(-1)[place_M2K], held_count_M[:, None], alpha, margin
            )
            order_R, top_R = order_M.view(replicas, -1).sum(1), top_M.view(replicas, -1).sum(1)
            gradient_NI.view(-1).scatter_add_(0, place_M2K.view(-1), change_M2K.view(-1))
        ctx.save_for_backward(gradient_NI)
        return torch.stack([next_R + alpha * (order_R + top_R), order_R, top_R], 1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, ...]:
        (gradient_NI,) = ctx.saved_tensors
        (upstream_R3,) = upstream
        gradient = gradient_NI.view(len(upstream_R3), -1).mul_(upstream_R3[:, :1])
        return gradient.view_as(gradient_NI), *[None] * 8


def loss(
    scores_NI: Tensor, target_N: Tensor, ids_N: Tensor, hinge: Hinge | None, counts: tuple[int, int] | None = None
) -> Tensor:
    """The loss, and the hinge's two terms for the record `[3]`; only the first has a gradient, for one backward pass.

    `target_N`: item codes; `ids_N`: clean row ids of the targets. Means over targets, the hinge's over those with a list, so the
    regulariser's weight does not depend on the batch. `counts`: how many of both the whole batch has, where these are a part of it.
    """
    targets, held = counts or (len(target_N), None)
    count_N = scores_NI.new_full((len(target_N),), targets)
    if hinge is None:
        nothing = target_N.new_empty(0)
        return _Loss.apply(scores_NI, target_N, count_N, nothing, nothing.view(0, 2), nothing, 0.0, 0.0, 1)[0]
    held_M, lists_M2K = hinge.lists_of(ids_N)
    held_count_M = scores_NI.new_full((len(held_M),), len(held_M) if held is None else held)
    return _Loss.apply(scores_NI, target_N, count_N, held_M, lists_M2K, held_count_M, hinge.alpha, hinge.margin, 1)[0]


def stacked_loss(
    scores_RPI: Tensor, target_RP: Tensor, ids_RP: Tensor, count_R: Tensor, hinge: Hinge | None, held_R: Tensor | None
) -> Tensor:
    """The same of a part of a stack's batch `[R, 3]`: means are over the `count_R` targets, and `held_R` lists, of the whole batch.

    A position without a target (code 0) stands for nothing, so that every shape is the same whatever the replicas' rows are.
    """
    R, P, I = scores_RPI.shape
    count_N = torch.where(target_RP > 0, count_R[:, None], torch.inf).view(-1)
    rows = scores_RPI.view(R * P, I), target_RP.reshape(-1), count_N
    if hinge is None or held_R is None:
        nothing = count_N.new_empty(0, dtype=torch.long)
        return _Loss.apply(*rows, nothing, nothing.view(0, 2), nothing, 0.0, 0.0, R)
    held_RP, lists_M2K = hinge.stacked_lists_of(ids_RP)
    held_count_M = torch.where(held_RP, held_R[:, None].to(count_N), torch.inf).view(-1)
    return _Loss.apply(
        *rows, torch.arange(R * P, device=count_N.device), lists_M2K, held_count_M, hinge.alpha, hinge.margin, R
    )
