"""Regulariser `soft_order`: keeps the order of a reference list without a hinge."""

from typing import ClassVar, Literal

from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from finest.training.regularisers.base import Regulariser, RegulariserConfig


class SoftOrderConfig(RegulariserConfig):
    """Holds how soft the order is."""

    name: Literal["soft_order"] = "soft_order"
    temperature: float = Field(default=1.0, gt=0)
    """Gap of two scores, in logits, over which the penalty goes from flat to steep."""


class SoftOrder(Regulariser):
    """Penalises neighbours out of order by softplus((s[i + 1] - s[i]) / temperature), the mean over pairs and lists."""

    Config = SoftOrderConfig
    terms: ClassVar = {"soft_order": "train/soft_order"}
    config: SoftOrderConfig

    @staticmethod
    def list_length(top_k: int) -> int:
        """Returns the number of items whose order is kept; none is needed below them."""
        return top_k

    def __call__(self, scores_ML: Tensor, lists: Tensor | int, alpha: float) -> tuple[tuple[Tensor, ...], Tensor]:
        """Returns each list's share in the term [M], and the gradient [M, L] by the scores."""
        gap = (scores_ML[:, 1:] - scores_ML[:, :-1]) / self.config.temperature
        pairs = lists * gap.shape[1]
        slope = gap.sigmoid() * (alpha / self.config.temperature) / pairs
        gradient = scores_ML.new_zeros(scores_ML.shape)
        gradient[:, 1:] += slope
        gradient[:, :-1] -= slope
        return ((F.softplus(gap) / pairs).sum(1),), gradient
