"""LATENT CROSS: a recurrent network whose states are scaled by their context (Beutel et al., WSDM 2018)."""

import torch
from torch import Tensor
from torch.nn import functional as F

from finest.histories import UNKNOWN
from finest.models.config import LatentCrossConfig
from finest.models.gru4rec import GRU4Rec
from finest.models.layers import parameter
from finest.models.recommender import dropped
from finest.models.registry import MODELS

HOURS, DAYS, HOUR = 24, 7, 3600
GAPS = 34
"""Number of sizes of a gap: 0 s, 1 s, from 2 s, from 4 s and so on; the last one is over 136 years."""


@MODELS.register("latent_cross")
class LatentCross(GRU4Rec):
    """Scales what the recurrent layers read, and what they return, by the context of the interaction.

    With w_c the embedding of an interaction's context in feature c, a state h becomes h * (1 + sum over c of w_c): the
    paper's formula, before the recurrent layers and behind them. Features are hour of the day and day of the week, in
    UTC, and the gap since the interaction before, in powers of two of a second; a window's first one has no gap.

    Where it differs from the paper: the context behind the recurrent layers is that of the last interaction, not of
    the request, which histories do not have; nor do they have pages and devices. All else is as in GRU4Rec here, so it
    is not stackable.
    """

    Config = LatentCrossConfig
    timed = True
    without_times = "scales nothing by a context, as if all were of none"

    def __init__(self, config: LatentCrossConfig, items: int):
        """Makes the layers; `initialise` sets the weights."""
        super().__init__(config, items)
        self.reads_times = config.times
        self.context = parameter("normal", HOURS + DAYS + GAPS, 2 * config.hidden_size)
        self.context.requires_grad_(config.times)

    def encode(self, inputs_BT: Tensor, masks_SBTD: Tensor | None) -> Tensor:
        """Returns hidden states `[B, T, D]`, each of the window `[B, T, 2]` up to its position."""
        codes_BT, times_BT = inputs_BT.unbind(-1)
        x_BTD = dropped(F.embedding(codes_BT, self.embedding), masks_SBTD, 0)
        if not self.reads_times:
            return F.linear(self.recurrent(x_BTD)[0], self.dense, self.dense_bias)
        before_BTD, behind_BTD = self.contexts(times_BT).chunk(2, -1)
        x_BTD, _ = self.recurrent(x_BTD * (1 + before_BTD))
        return F.linear(x_BTD * (1 + behind_BTD), self.dense, self.dense_bias)

    def contexts(self, times_BT: Tensor) -> Tensor:
        """Returns the sum of the embeddings of each interaction's features `[B, T, 2 D]`; 0 where none is known."""
        known_BT = times_BT != UNKNOWN
        time_BT = torch.where(known_BT, times_BT, 0)
        hour_BT = time_BT // HOUR
        gap_BT = F.pad(time_BT[:, 1:] - time_BT[:, :-1], (1, 0)).abs()
        size_BT = torch.bucketize(gap_BT, 2 ** torch.arange(GAPS - 1, device=gap_BT.device), right=True)
        place_BTC = torch.stack([hour_BT % HOURS, HOURS + hour_BT // HOURS % DAYS, HOURS + DAYS + size_BT], -1)
        there_BTC = known_BT[..., None].repeat(1, 1, place_BTC.shape[-1])
        there_BTC[:, 0, -1] = False
        return (F.embedding(place_BTC, self.context) * there_BTC[..., None]).sum(-2)
