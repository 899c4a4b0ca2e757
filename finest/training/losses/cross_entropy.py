"""Trains by cross-entropy over the whole catalogue."""

from typing import ClassVar, Literal

from finest.training.losses.base import Loss, LossConfig
from finest.training.losses.registry import LOSSES


class CrossEntropyConfig(LossConfig):
    """Cross-entropy over the whole catalogue: nothing is drawn."""

    name: Literal["cross_entropy"] = "cross_entropy"
    """Cross-entropy over the whole catalogue."""


@LOSSES.register("cross_entropy")
class CrossEntropy(Loss):
    """Computes -log softmax(s)[target], with s the scores of all items.

    `finest.training.objective` has it, and `finest.training.chunked` for large catalogues: gradients are made on the
    way forward, so that scores are held once.
    """

    Config: ClassVar[type[LossConfig]] = CrossEntropyConfig
