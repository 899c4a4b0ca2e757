"""Implements a divergence of the scores' distribution over a list from one that falls with the reference's rank.

Shapes: M lists, L items of a list.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from finest.training.regularisers.base import Regulariser, RegulariserConfig
from finest.training.regularisers.registry import REGULARISERS
from finest.training.regularisers.weights import geometric

if TYPE_CHECKING:
    from torch import Tensor


class KLConfig(RegulariserConfig):
    """The Kullback-Leibler divergence from a distribution over a reference list's 2K items that falls by p a rank."""

    name: Literal["kl"] = "kl"
    """The divergence over the list."""
    p: float = Field(default=0.98, gt=0, lt=1)
    """Probability of an item against that of the one above it, in the distribution that is kept. With .98 the first is
    56 times as likely as the 200th; the .9 of RBO would leave .35 of all to the items below the tenth."""


@REGULARISERS.register("kl")
class KL(Regulariser):
    """Penalises scores whose distribution over a list is not that of the list's ranks.

    With s the scores of a list's L = 2K items and q[k] = p^(k - 1) / (1 + p + ... + p^(L - 1)),
    divergence = sum over k of q[k] (log q[k] - log softmax(s)[k]), averaged over lists: KL(q || softmax(s)). It is the
    top-one loss of ListNet (Cao et al., Learning to rank: from pairwise approach to listwise approach, ICML 2007,
    section 4) with relevance by rank, for a reference list has no scores. It is 0 where neighbours are -log p apart.
    """

    Config: ClassVar[type[RegulariserConfig]] = KLConfig
    terms: ClassVar[Mapping[str, str]] = {"divergence": "train/divergence"}
    config: KLConfig

    @staticmethod
    def list_length(top_k: int) -> int:
        """Returns 2K: the distribution is over the first K items and as many below them."""
        return 2 * top_k

    def __call__(self, scores_ML: "Tensor", lists: "Tensor | int", alpha: float) -> "tuple[tuple[Tensor, ...], Tensor]":
        """Computes the term of each list and its gradient; see the base class."""
        kept_L = geometric(self.config.p, scores_ML.shape[1], scores_ML)
        log_ML = scores_ML.log_softmax(1)
        divergence_M = ((kept_L.xlogy(kept_L) - kept_L * log_ML) / lists).sum(1)
        return (divergence_M,), (log_ML.exp() - kept_L) * (alpha / lists)
