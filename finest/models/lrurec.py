"""LRURec: linear recurrent units over a user's last interactions (Yue et al., WSDM 2024, arXiv 2310.02367)."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from finest.models.config import LRURecConfig
from finest.models.layers import linear, lookup, normal, parameter
from finest.models.recommender import Recommender, dropped
from finest.models.registry import MODELS

RING = 0.8, 0.99
"""Radii between which the units' factors start, as published."""
GOLDEN = (5**0.5 - 1) / 2


class Unit(nn.Module):
    """One layer: a linear recurrence, then the position-wise layers, each added to what it reads.

    With n the normalised input, complex states follow h[t] = a * h[t - 1] + sqrt(1 - |a|^2) * B n[t], for each unit
    with a factor a of its own, a = exp(-exp(u) + i exp(v)); the layer adds Re(C h[t]) + c.
    """

    radius: Tensor
    angle: Tensor

    def __init__(self, config: LRURecConfig):
        """Makes the layer's parameters."""
        super().__init__()
        hidden, inner = config.hidden_size, config.feed_multiplier * config.hidden_size
        place = torch.arange(hidden)
        low, high = RING
        size = (low**2 + (high**2 - low**2) * (place + 0.5) / hidden).sqrt()
        # Weights decay to 0, and factors of 0 would be 0.37 on the real axis: what is trained is how they move.
        self.register_buffer("radius", (-size.log()).log(), persistent=False)
        self.register_buffer("angle", (torch.pi * ((place + 1) * GOLDEN % 1)).log(), persistent=False)
        self.radius_moved = parameter("zeros", hidden)
        self.angle_moved = parameter("zeros", hidden)
        self.gain = parameter("ones", hidden)
        self.shift = parameter("zeros", hidden)
        self.input = parameter("normal", 2 * hidden, hidden)
        self.output = parameter("normal", hidden, 2 * hidden)
        self.output_bias = parameter("zeros", hidden)
        self.feed_gain = parameter("ones", hidden)
        self.feed_shift = parameter("zeros", hidden)
        self.inner = parameter("normal", inner, hidden)
        self.inner_bias = parameter("zeros", inner)
        self.outer = parameter("normal", hidden, inner)
        self.outer_bias = parameter("zeros", hidden)

    def forward(self, x_BTD: Tensor, masks_SBTD: Tensor | None, site: int) -> Tensor:
        """Returns the layer's hidden states `[B, T, D]`; `site` is the first of its two masks."""
        x_BTD = x_BTD + dropped(self.recur(x_BTD), masks_SBTD, site)
        inner_BTE = linear(normal(x_BTD, self.feed_gain, self.feed_shift), self.inner, self.inner_bias)
        return x_BTD + dropped(linear(F.gelu(inner_BTE), self.outer, self.outer_bias), masks_SBTD, site + 1)

    def recur(self, x_BTD: Tensor) -> Tensor:
        """Returns what the recurrence adds `[B, T, D]`.

        States are computed for all positions at once, in log2(T) rounds: after each, a state has summed up twice as
        many positions as before (the paper's recursive parallelisation).
        """
        size, angle = (self.radius + self.radius_moved).exp(), (self.angle + self.angle_moved).exp()
        if x_BTD.dim() == 4:
            size, angle = size[:, None, None], angle[:, None, None]
        driven_BTE = linear(normal(x_BTD, self.gain, self.shift), self.input).float()
        state_BTD = torch.complex(*driven_BTE.chunk(2, -1)) * (1 - (-2 * size).exp()).sqrt()
        step, T = 1, x_BTD.shape[-2]
        while step < T:
            factor = torch.polar((-step * size).exp(), step * angle)
            state_BTD = state_BTD + factor * F.pad(state_BTD[..., : T - step, :], (0, 0, step, 0))
            step *= 2
        return linear(torch.cat([state_BTD.real, state_BTD.imag], -1), self.output, self.output_bias)


@MODELS.register("lrurec")
class LRURec(Recommender):
    """Embeds items alone: the recurrence knows their order.

    Where it differs from the paper: layers are normalised before, not behind, as all here; factors start evenly spread
    over the ring of radii, not drawn, and over half of its circle, which the other half mirrors where the result is
    real; their root is no weight of its own, as B scales states too.
    """

    Config = LRURecConfig
    stackable = True

    def __init__(self, config: LRURecConfig, items: int):
        """Makes the layers; `initialise` sets the weights."""
        super().__init__(config, items)
        self.sites = 1 + 2 * config.num_layers
        # A round keeps a state, which is complex.
        self.layer_copies = 14 + 2 * config.feed_multiplier + 2 * config.max_length.bit_length()
        self.units = nn.ModuleList(Unit(config) for _ in range(config.num_layers))
        self.final_gain = parameter("ones", config.hidden_size)
        self.final_shift = parameter("zeros", config.hidden_size)

    def encode(self, inputs_BT: Tensor, masks_SBTD: Tensor | None) -> Tensor:
        """Returns hidden states `[B, T, D]`, each of the window up to its position."""
        x_BTD = dropped(lookup(inputs_BT, self.embedding), masks_SBTD, 0)
        for layer, unit in enumerate(self.units):
            x_BTD = unit(x_BTD, masks_SBTD, 1 + 2 * layer)
        return normal(x_BTD, self.final_gain, self.final_shift)
