"""Implements ListMLE: the likelihood that a reference list comes about by drawing items by their scores.

Shapes: M lists, L items of a list, K of them at the top.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

from finest.training.regularisers.base import Regulariser, RegulariserConfig
from finest.training.regularisers.registry import REGULARISERS

if TYPE_CHECKING:
    from torch import Tensor


class ListMLEConfig(RegulariserConfig):
    """The likelihood of a reference list's first K items, in their order, among its 2K (ListMLE, ICML 2008)."""

    name: Literal["list_mle"] = "list_mle"
    """The likelihood of the list under the Plackett-Luce model."""


@REGULARISERS.register("list_mle")
class ListMLE(Regulariser):
    """Penalises lists that the scores make unlikely.

    With s the scores of a list's 2K items, likelihood = mean over k <= K of log(sum over j >= k of exp(s[j])) - s[k],
    averaged over lists: minus the log-likelihood, an item, of drawing the first K in their order from the Plackett-Luce
    model. Xia et al., Listwise approach to learning to rank, ICML 2008, equation 9, of a list's top as in Xia et al.,
    Statistical consistency of top-k ranking, NIPS 2009. It is never 0, for an order can always be more certain.
    """

    Config: ClassVar[type[RegulariserConfig]] = ListMLEConfig
    terms: ClassVar[Mapping[str, str]] = {"likelihood": "train/order"}

    @staticmethod
    def list_length(top_k: int) -> int:
        """Returns 2K: the first K are drawn before any of as many that stand below."""
        return 2 * top_k

    def __call__(self, scores_ML: "Tensor", lists: "Tensor | int", alpha: float) -> "tuple[tuple[Tensor, ...], Tensor]":
        """Computes the term of each list and its gradient; see the base class."""
        import torch

        L = scores_ML.shape[1]
        K = (L + 1) // 2
        left_ML = scores_ML.flip(1).logcumsumexp(1).flip(1)  # of each item and all below it
        each = lists * K
        likelihood_M = ((left_ML - scores_ML)[:, :K] / each).sum(1)
        # Item j is among those that are left for each k <= min(j, K), with probability exp(s[j] - left[k]).
        drawn_MK = (-left_ML[:, :K]).logcumsumexp(1)
        below = drawn_MK[:, -1:].expand(-1, L - K)
        gradient_ML = torch.cat([scores_ML[:, :K] + drawn_MK, scores_ML[:, K:] + below], 1).exp()
        gradient_ML[:, :K] -= 1
        return (likelihood_M,), gradient_ML * (alpha / each)
