"""Implements a differentiable rank-biased overlap of the present order of a reference list's items with the list.

Shapes: M lists, L items of a list, D depths to which lists are compared.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from finest.training.regularisers.base import Regulariser, RegulariserConfig
from finest.training.regularisers.registry import REGULARISERS
from finest.training.regularisers.weights import geometric

if TYPE_CHECKING:
    from torch import Tensor


class SoftRBOConfig(RegulariserConfig):
    """One minus a differentiable rank-biased overlap (RBO) with the reference list."""

    name: Literal["soft_rbo"] = "soft_rbo"
    """The overlap of the list's items as they stand now with the list."""
    p: float = Field(default=0.9, gt=0, lt=1)
    """Persistence: weight of a depth against that of the depth above it. .9 as in the RBO that is measured."""
    tau: float = Field(default=0.1, gt=0)
    """Temperature, in logits: an item this far above the edge of the first d counts .73 as one of them."""
    depth: int = Field(default=50, ge=1)
    """Largest depth to which lists are compared, at most K. With p .9, what is below 50 has .5% of the weight."""


@REGULARISERS.register("soft_rbo")
class SoftRBO(Regulariser):
    """Penalises each depth at which the list's first items are not the ones with the highest scores.

    With s the scores of a list's 2K items and e[d] the middle between their d-th and (d + 1)-th largest,
    A[d] = (1 / d) sum over k <= d of sigmoid((s[k] - e[d]) / tau) is the overlap at depth d, in which the step from in
    to out is soft, and distance = 1 - (1 - p) / (1 - p^D) sum over d <= D of p^(d - 1) A[d], averaged over lists.

    As tau falls to 0 it becomes one minus the RBO of the list with its own items sorted by score (Webber et al., A
    similarity measure for indefinite rankings, 2010, equation 7, cut at depth D). The edges have a gradient too, so
    that adding a number to all scores changes nothing.
    """

    Config: ClassVar[type[RegulariserConfig]] = SoftRBOConfig
    terms: ClassVar[Mapping[str, str]] = {"distance": "train/distance"}
    config: SoftRBOConfig

    @staticmethod
    def list_length(top_k: int) -> int:
        """Returns 2K: the items below the first K are those that may take their place."""
        return 2 * top_k

    def __call__(self, scores_ML: "Tensor", lists: "Tensor | int", alpha: float) -> "tuple[tuple[Tensor, ...], Tensor]":
        """Computes the term of each list and its gradient; see the base class."""
        import torch

        tau, M, L = self.config.tau, *scores_ML.shape
        D = min(self.config.depth, L // 2)
        weight_D = geometric(self.config.p, D, scores_ML)
        sorted_MN, order_MN = (values[:, : D + 1] for values in scores_ML.sort(dim=1, descending=True, stable=True))
        edge_MD = sorted_MN[:, :-1] / 2 + sorted_MN[:, 1:] / 2
        depth_D = torch.arange(1, D + 1, device=scores_ML.device)
        share_DD = (weight_D / depth_D)[:, None].expand(D, D).tril()  # what item k is worth at depth d
        inside_MDD = ((scores_ML[:, None, :D] - edge_MD[:, :, None]) / tau).sigmoid()
        distance_M = (weight_D.sum() - (inside_MDD * share_DD).sum((1, 2)))[:, None] / lists
        slope_MDD = inside_MDD * (1 - inside_MDD) * share_DD
        gradient_ML = scores_ML.new_zeros(M, L)
        gradient_ML[:, :D] -= slope_MDD.sum(1)
        of_edge_MD = slope_MDD.sum(2) / 2
        gradient_ML.scatter_add_(1, order_MN[:, :-1], of_edge_MD)
        gradient_ML.scatter_add_(1, order_MN[:, 1:], of_edge_MD)
        return (distance_M[:, 0],), gradient_ML * (alpha / (tau * lists))
