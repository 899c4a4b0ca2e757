"""Trains by gBCE, binary cross-entropy whose overconfidence is taken back (gSASRec, arXiv 2308.07192)."""

import math
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from finest.training.losses.base import LossConfig, SampledLoss, SampledLossConfig
from finest.training.losses.registry import LOSSES

if TYPE_CHECKING:
    from torch import Tensor


class GBCEConfig(SampledLossConfig):
    """Generalised binary cross-entropy: each item is judged on its own, the target with less weight."""

    name: Literal["gbce"] = "gbce"
    """gBCE, with which SASRec is gSASRec (arXiv 2308.07192)."""
    t: float = Field(default=0.75, ge=0, le=1)
    """Calibration: 0 is plain binary cross-entropy, which takes items for likelier the fewer negatives there are; with
    1 the sigmoid of a score is a probability again. Paper: 0.75."""


@LOSSES.register("gbce")
class GBCE(SampledLoss):
    """Computes -beta log sigmoid(s[0] + o) - sum over drawn items of log(1 - sigmoid(s[c] + o)).

    With a = C / I, the chance that an item is drawn, beta = a (t (1 - 1/a) + 1/a), which is a at t = 1 and 1 at t = 0.
    Of a catalogue nearly every item is unlikely, so an untrained model, whose scores are near 0, would first of all
    learn to lower them: one direction that all embeddings share and that is all a layer then sees (lastfm: no better
    than popularity). So scores are logits up to the constant o = log(beta / C), with which pulls and pushes on equal
    scores are even; lists do not know it.

    The sum is over negatives, where the published code has the mean over them and the target: AdamW cannot tell one
    from the other, and `finetune.alpha` weighs against a loss of cross-entropy's size.
    """

    Config: ClassVar[type[LossConfig]] = GBCEConfig
    config: GBCEConfig

    def __call__(self, scores_NC: "Tensor", items: int) -> "Tensor":
        """Computes the loss of each target; see the base class."""
        from torch.nn import functional as F

        count = scores_NC.shape[-1] - 1
        drawn = count / items
        beta = drawn * (self.config.t * (1 - 1 / drawn) + 1 / drawn)
        logits_NC = scores_NC + math.log(beta / count)
        return beta * F.softplus(-logits_NC[..., 0]) + F.softplus(logits_NC[..., 1:]).sum(-1)
