"""Trains by cross-entropy among a target and some drawn items."""

from typing import TYPE_CHECKING, ClassVar, Literal

from finest.training.losses.base import LossConfig, SampledLoss, SampledLossConfig
from finest.training.losses.registry import LOSSES

if TYPE_CHECKING:
    from torch import Tensor


class SampledSoftmaxConfig(SampledLossConfig):
    """Cross-entropy among the target and drawn items: cheaper than over the catalogue, and noisier."""

    name: Literal["sampled_softmax"] = "sampled_softmax"
    """Softmax over the target and the drawn items. Nothing is corrected: all are as likely to be drawn, so a correction
    would move all scores alike."""


@LOSSES.register("sampled_softmax")
class SampledSoftmax(SampledLoss):
    """Computes -log softmax(s)[0], with s the scores of the target and of the drawn items.

    Where all items are drawn it is cross-entropy over the catalogue.
    """

    Config: ClassVar[type[LossConfig]] = SampledSoftmaxConfig

    def __call__(self, scores_NC: "Tensor", items: int) -> "Tensor":
        """Computes the loss of each target; see the base class."""
        return scores_NC.logsumexp(-1) - scores_NC[..., 0]
