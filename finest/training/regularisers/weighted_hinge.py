"""Implements the hinge of finest/training/regularisers/rank_hinge.py with more weight at the top of the list.

Shapes: M lists, K items whose order is kept, followed by K items that are kept below them.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from finest.training.regularisers.base import Regulariser, RegulariserConfig
from finest.training.regularisers.registry import REGULARISERS
from finest.training.regularisers.weights import geometric

if TYPE_CHECKING:
    from torch import Tensor


class WeightedHingeConfig(RegulariserConfig):
    """The hinge of FINEST with pairs weighted by p^k, as RBO weights depths."""

    name: Literal["weighted_hinge"] = "weighted_hinge"
    """The hinge of the paper, with pairs weighted by their place."""
    margin: float = Field(default=0.1, gt=0)
    """How far an item's score must be above the next one's before the hinge lets go, in logits."""
    p: float = Field(default=0.9, gt=0, le=1)
    """Weight of a pair against that of the pair above it. 1: all alike, which is `rank_hinge`."""


@REGULARISERS.register("weighted_hinge")
class WeightedHinge(Regulariser):
    """Penalises neighbours out of order, the more the higher they stand.

    With s the scores of a list's 2K items, m the margin and w[k] = p^(k - 1) / (1 + p + ... + p^(n - 1)) for n pairs,
    pairwise = sum over k < K of w[k] max(0, m - s[k] + s[k + 1]), topk = sum over k <= K of
    w[k] max(0, m - s[k] + s[K + k]), each averaged over lists. The weights are those that RBO gives to depths (Webber
    et al. 2010, equation 7); the hinge is that of arXiv 2402.03481, section 4.2.
    """

    Config: ClassVar[type[RegulariserConfig]] = WeightedHingeConfig
    terms: ClassVar[Mapping[str, str]] = {"pairwise": "train/order", "topk": "train/top"}
    config: WeightedHingeConfig

    @staticmethod
    def list_length(top_k: int) -> int:
        """Returns 2K: as many items again stand below those whose order is kept."""
        return 2 * top_k

    def __call__(self, scores_ML: "Tensor", lists: "Tensor | int", alpha: float) -> "tuple[tuple[Tensor, ...], Tensor]":
        """Computes both terms of each list and their gradient; see the base class."""
        margin, K = self.config.margin, scores_ML.shape[1] // 2
        weight_K = geometric(self.config.p, K, scores_ML)
        weight_P = geometric(self.config.p, max(K - 1, 0), scores_ML)
        pairwise_MP = margin - scores_ML[:, : max(K - 1, 0)] + scores_ML[:, 1:K]
        topk_MK = margin - scores_ML[:, :K] + scores_ML[:, K : 2 * K]
        terms = (pairwise_MP.clamp_min(0) * weight_P / lists).sum(1), (topk_MK.clamp_min(0) * weight_K / lists).sum(1)
        pairwise_MP, topk_MK = (
            (over > 0) * (alpha * weight / lists) for over, weight in ((pairwise_MP, weight_P), (topk_MK, weight_K))
        )
        gradient_ML = scores_ML.new_zeros(scores_ML.shape)
        gradient_ML[:, : max(K - 1, 0)] -= pairwise_MP
        gradient_ML[:, 1:K] += pairwise_MP
        gradient_ML[:, :K] -= topk_MK
        gradient_ML[:, K : 2 * K] += topk_MK
        return terms, gradient_ML
