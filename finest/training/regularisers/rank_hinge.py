"""Implements FINEST's regulariser: a hinge on the order within a reference list (arXiv 2402.03481, section 4.2).

Shapes: M lists, K items whose order is kept, followed by K items that are kept below them.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from finest.training.regularisers.base import Regulariser, RegulariserConfig
from finest.training.regularisers.registry import REGULARISERS

if TYPE_CHECKING:
    from torch import Tensor


class RankHingeConfig(RegulariserConfig):
    """A hinge that keeps the order of a reference list's first K items, and the next K below them."""

    name: Literal["rank_hinge"] = "rank_hinge"
    """The hinge of the paper."""
    margin: float = Field(default=0.1, gt=0)
    """How far an item's score must be above the next one's before the hinge lets go, in logits. Paper: 0.1."""


@REGULARISERS.register("rank_hinge")
class RankHinge(Regulariser):
    """Penalises neighbours out of order, and items of the list's second half that come near those of the first.

    With s the scores of a list's 2K items and m the margin,
    pairwise = mean over i < K of max(0, m - s[i] + s[i + 1]), topk = mean over i <= K of max(0, m - s[i] + s[K + i]),
    each averaged over lists.
    """

    Config: ClassVar[type[RegulariserConfig]] = RankHingeConfig
    terms: ClassVar[Mapping[str, str]] = {"pairwise": "train/order", "topk": "train/top"}
    config: RankHingeConfig

    @staticmethod
    def list_length(top_k: int) -> int:
        """Returns 2K: as many items again stand below those whose order is kept."""
        return 2 * top_k

    def __call__(self, scores_ML: "Tensor", lists: "Tensor | int", alpha: float) -> "tuple[tuple[Tensor, ...], Tensor]":
        """Computes both terms of each list and their gradient; see the base class."""
        margin, K = self.config.margin, scores_ML.shape[1] // 2
        pairwise_MK = margin - scores_ML[:, : K - 1] + scores_ML[:, 1:K]
        topk_MK = margin - scores_ML[:, :K] + scores_ML[:, K:]
        pairs, tops = lists * (K - 1), lists * K
        terms = (pairwise_MK.clamp_min(0) / pairs).sum(1), (topk_MK.clamp_min(0) / tops).sum(1)
        pairwise_MK, topk_MK = (pairwise_MK > 0) * (alpha / pairs), (topk_MK > 0) * (alpha / tops)
        gradient_ML = scores_ML.new_zeros(scores_ML.shape)
        gradient_ML[:, : K - 1] -= pairwise_MK
        gradient_ML[:, 1:K] += pairwise_MK
        gradient_ML[:, :K] -= topk_MK
        gradient_ML[:, K:] += topk_MK
        return terms, gradient_ML
