"""Defines a regulariser: what it makes of a model's scores of the items in a reference list.

Shapes: M lists, L items of a list.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from finest.section import Section

if TYPE_CHECKING:  # a config is checked before anything trains, and torch takes seconds to load
    from torch import Tensor


TAKEN = frozenset(
    {"stage", "epoch", "step", "loss", "lr", "seconds", "cpu_seconds", "targets", "train/loss", "train/rate"}
)
"""Columns and metrics that every training's history has, whatever the regulariser (`finest.training.history`)."""


class RegulariserConfig(Section):
    """Holds a regulariser's options. Each regulariser has a subclass, with its name as the only value of `name`."""

    name: str
    """Name of the regulariser in the registry."""


class Regulariser(ABC):
    """Penalises scores that depart from a reference list.

    It knows neither the model nor where lists come from, and gives its gradient itself: the loss that calls it may hold
    a part of a batch's scores only, for one training or for several that are stacked.
    """

    Config: ClassVar[type[RegulariserConfig]]
    """Section of the config, `finetune.regulariser`."""
    terms: ClassVar[Mapping[str, str]]
    """Names of the terms that make up the penalty, as columns of a training's history, with their metrics in MLflow."""

    def __init_subclass__(cls, **options: Any):
        """Refuses terms by whose names a history has something else."""
        super().__init_subclass__(**options)
        terms: Mapping[str, str] = getattr(cls, "terms", {})
        names = [*terms.keys(), *terms.values()]
        if taken := sorted({name for name in names if name in TAKEN or names.count(name) > 1}):
            raise TypeError(f"{cls.__name__}: terms and metrics need names of their own; taken: {', '.join(taken)}")

    def __init__(self, config: RegulariserConfig):
        """Makes the regulariser that its section describes."""
        self.config = config

    @staticmethod
    @abstractmethod
    def list_length(top_k: int) -> int:
        """Returns the number of items that a reference list must hold where the order of `top_k` of them is kept."""

    @abstractmethod
    def __call__(self, scores_ML: "Tensor", lists: "Tensor | int", alpha: float) -> "tuple[tuple[Tensor, ...], Tensor]":
        """Computes the penalty of M lists.

        Args:
            scores_ML: The model's scores of each list's items, best item first.
            lists: Number of lists that the means are over, `[M, 1]` where it differs; infinite for a row that stands
                for no list. The M lists may be a part of them, so that the terms of all parts add up to the means.
            alpha: Weight of the penalty in the loss.

        Returns:
            A tensor `[M]` for each of `terms`: the list's share in the term's mean. And the gradient `[M, L]` of
                `alpha` times the sum of all terms with respect to the scores.
        """
