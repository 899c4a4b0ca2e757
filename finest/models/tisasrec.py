"""TiSASRec: self-attention that knows how far apart interactions were in time (Li, Wang and McAuley, WSDM 2020)."""

from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from finest.histories import UNKNOWN
from finest.models.config import TiSASRecConfig
from finest.models.layers import normal, parameter
from finest.models.recommender import dropped
from finest.models.registry import MODELS
from finest.models.sasrec import SASRec

NEVER = 2**62
"""Stands for the smallest gap of a window that has none."""


@MODELS.register("tisasrec")
class TiSASRec(SASRec):
    """Is SASRec with embeddings of positions and of intervals, both in keys and in values.

    The interval of two interactions is floor(|t - s| / g), with g the smallest gap between two neighbours, up to
    `time_span`. Intervals k have embeddings K[k] and V[k], so that position t attends to s by q . (key + P[s] + K[k]),
    and gets value + Q[s] + V[k] of it.

    Where it differs from the paper: g is of the window up to the position that attends, not of the user's whole
    sequence, from which a prediction would know of what comes later; there is no dropout in the embeddings of positions
    and intervals; the loss is that of all models here. Not stackable.
    """

    Config = TiSASRecConfig
    stackable = False
    timed = True
    without_times = "takes all gaps to be equal"

    def __init__(self, config: TiSASRecConfig, items: int):
        """Makes the layers; `initialise` sets the weights."""
        super().__init__(config, items)
        hidden = config.hidden_size
        self.reads_times, self.span = config.times, config.time_span
        self.position_value = parameter("normal", config.max_length, hidden)
        self.interval_key = parameter("normal", config.time_span + 1, hidden)
        self.interval_value = parameter("normal", config.time_span + 1, hidden)

    def encode(self, inputs_BT: Tensor, masks_SBTD: Tensor | None) -> Tensor:
        """Returns hidden states `[B, T, D]`, each of the window `[B, T, 2]` up to its position."""
        codes_BT, times_BT = inputs_BT.unbind(-1)
        mix = partial(self._mix, self.intervals(times_BT))
        x_BTD = dropped(F.embedding(codes_BT, self.embedding), masks_SBTD, 0)
        for layer, block in enumerate(self.blocks):
            x_BTD = block(x_BTD, self.heads, masks_SBTD, 1 + 2 * layer, mix)
        return normal(x_BTD, self.final_gain, self.final_shift)

    def intervals(self, times_BT: Tensor) -> Tensor:
        """Returns the interval of each position and each before it `[B, T, T]`; any number for those behind it."""
        place_T = torch.arange(times_BT.shape[1], device=times_BT.device)
        known_B1 = (times_BT[:, :1] != UNKNOWN) & self.reads_times
        times_BT = torch.where(known_B1, times_BT, place_T)
        gap_BT = F.pad((times_BT[:, 1:] - times_BT[:, :-1]).abs(), (1, 0))
        least_BT = torch.where(gap_BT > 0, gap_BT, NEVER).cummin(1).values
        apart_BTT = (times_BT[:, :, None] - times_BT[:, None]).abs()
        return (apart_BTT // least_BT[:, :, None]).clamp_(0, self.span)

    def _mix(self, intervals_BTT: Tensor, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Returns attention by intervals; see `finest.models.sasrec.Mix`."""
        _, H, T, d = query.shape
        near_BHTT = intervals_BTT[:, None].expand(-1, H, -1, -1)
        position_HTd, position_value_HTd, interval_HKd, interval_value_HKd = (
            table.view(-1, H, d).transpose(0, 1)
            for table in (self.position[:T], self.position_value[:T], self.interval_key, self.interval_value)
        )
        by_interval_BHTK = query @ interval_HKd.transpose(-2, -1)
        scores_BHTT = query @ (key + position_HTd).transpose(-2, -1) + by_interval_BHTK.gather(-1, near_BHTT)
        later_TT = torch.ones(T, T, dtype=torch.bool, device=query.device).triu(1)
        weights_BHTT = (scores_BHTT / d**0.5).masked_fill(later_TT, -torch.inf).softmax(-1)
        of_interval_BHTK = torch.zeros_like(by_interval_BHTK).scatter_add(-1, near_BHTT, weights_BHTT)
        mixed_BHTd: Tensor = weights_BHTT @ (value + position_value_HTd) + of_interval_BHTK @ interval_value_HKd
        return mixed_BHTd
