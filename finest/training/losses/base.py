"""Defines a loss: what a model loses by its scores of a target and of the items that this stands against.

Shapes: N targets, C items drawn for a batch.
"""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from finest.section import Section

if TYPE_CHECKING:  # a config is checked before anything trains, and torch takes seconds to load
    from torch import Tensor


class LossConfig(Section):
    """Holds a loss's options. Each loss has a subclass, with its name as the only value of `name`."""

    name: str
    """Name of the loss in the registry."""


class Loss(ABC):
    """Says how well targets are predicted: over the whole catalogue, or (`SampledLoss`) against some drawn items."""

    Config: ClassVar[type[LossConfig]]
    """Section of the config, `pretrain.loss`."""

    def __init__(self, config: LossConfig):
        """Makes the loss that its section describes."""
        self.config = config


class SampledLossConfig(LossConfig):
    """Holds what all losses against drawn items have."""

    negatives: int = Field(default=256, ge=1)
    """Items that are drawn for a batch, each at most once and all as likely; as many as there are in a smaller
    catalogue. All targets of the batch stand against the same ones, their own item left out."""


class SampledLoss(Loss):
    """Compares a target with items drawn for its batch, the same in all variants of a seed, so that edits move none."""

    Config: ClassVar[type[LossConfig]]
    config: SampledLossConfig

    @abstractmethod
    def __call__(self, scores_NC: "Tensor", items: int) -> "Tensor":
        """Computes the loss of each target, of which autograd takes the gradient.

        Args:
            scores_NC: `[..., 1 + C]` scores of the target, first, and of the drawn items; -inf for one that is no
                negative of this target, since it is the target itself.
            items: Number of items of the catalogue, I, of which each was drawn with probability C / I.

        Returns:
            `[...]`, finite for any finite score of the target.
        """
