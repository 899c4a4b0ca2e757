"""Fine-tunes without a regulariser, on simulated perturbations alone: the baseline that FINEST must beat."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

from finest.training.regularisers.base import Regulariser, RegulariserConfig
from finest.training.regularisers.registry import REGULARISERS

if TYPE_CHECKING:
    from torch import Tensor


class NoRegulariserConfig(RegulariserConfig):
    """No regulariser: fine-tuning is cross-entropy and simulation alone, the baseline that FINEST must beat."""

    name: Literal["none"] = "none"
    """No regulariser."""


@REGULARISERS.register("none")
class NoRegulariser(Regulariser):
    """Penalises nothing and needs no reference lists."""

    Config: ClassVar[type[RegulariserConfig]] = NoRegulariserConfig
    terms: ClassVar[Mapping[str, str]] = {}

    @staticmethod
    def list_length(top_k: int) -> int:
        """Returns 0: no lists are needed."""
        return 0

    def __call__(self, scores_ML: "Tensor", lists: "Tensor | int", alpha: float) -> "tuple[tuple[Tensor, ...], Tensor]":
        """Returns no terms and a gradient of zeros."""
        return (), scores_ML.new_zeros(scores_ML.shape)
