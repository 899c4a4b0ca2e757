"""HSTU: hierarchical sequential transduction units (Zhai et al., arXiv 2402.17152), without the bias by time."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from finest.models.config import HSTUConfig
from finest.models.layers import linear, lookup, normal, parameter
from finest.models.recommender import Recommender, dropped
from finest.models.registry import MODELS


class Unit(nn.Module):
    """One layer: pointwise attention, gated, added to what it reads. It has no position-wise layers of its own.

    With u, v, q, k = silu(W norm(x)) and the bias b of a distance, position t gets
    x + W' (u * norm(sum over s <= t of silu(q[t] . k[s] + b[t - s]) v[s] / max_length)).
    """

    def __init__(self, config: HSTUConfig):
        """Makes the layer's parameters."""
        super().__init__()
        hidden = config.hidden_size
        self.max_length, self.heads = config.max_length, config.num_heads
        self.gain = parameter("ones", hidden)
        self.shift = parameter("zeros", hidden)
        self.projection = parameter("normal", 4 * hidden, hidden)
        self.projection_bias = parameter("zeros", 4 * hidden)
        self.distance = parameter("normal", config.max_length)
        self.output = parameter("normal", hidden, hidden)
        self.output_bias = parameter("zeros", hidden)

    def forward(self, x_BTD: Tensor, masks_SBTD: Tensor | None, site: int) -> Tensor:
        """Returns the layer's hidden states `[B, T, D]`; `site` is its mask."""
        *_, T, D = x_BTD.shape
        normal_BTD = normal(x_BTD, self.gain, self.shift)
        gate_BTD, rest = F.silu(linear(normal_BTD, self.projection, self.projection_bias)).split([D, 3 * D], -1)
        value, query, key = (part.unflatten(-1, (self.heads, -1)).transpose(-3, -2) for part in rest.chunk(3, -1))
        weights_BHTT = F.silu(query @ key.transpose(-2, -1) + self._bias(T, x_BTD.dim()))
        # Over the longest window, not over this one: a state must not depend on how far windows are computed.
        mixed_BHTd = (weights_BHTT / self.max_length).tril() @ value
        mixed_BTD = F.layer_norm(mixed_BHTd.transpose(-3, -2).reshape(x_BTD.shape), (D,))
        return x_BTD + linear(dropped(gate_BTD * mixed_BTD, masks_SBTD, site), self.output, self.output_bias)

    def _bias(self, T: int, axes: int) -> Tensor:
        """Returns the bias of each pair of positions `[T, T]`; `[R, 1, 1, T, T]` in a stack, of states of 4 axes."""
        place_T = torch.arange(T, device=self.distance.device)
        bias = self.distance[..., (place_T[:, None] - place_T).clamp_(min=0)]
        return bias if axes == 3 else bias[:, None, None]


@MODELS.register("hstu")
class HSTU(Recommender):
    """Embeds items and learned positions, as the published code does, and scores as all models here do."""

    Config = HSTUConfig
    stackable = True

    def __init__(self, config: HSTUConfig, items: int):
        """Makes the layers; `initialise` sets the weights."""
        super().__init__(config, items)
        self.sites = 1 + config.num_layers
        self.layer_copies = 17 + 5 * config.num_heads * config.max_length // config.hidden_size
        self.position = parameter("normal", config.max_length, config.hidden_size)
        self.units = nn.ModuleList(Unit(config) for _ in range(config.num_layers))
        self.final_gain = parameter("ones", config.hidden_size)
        self.final_shift = parameter("zeros", config.hidden_size)

    def encode(self, inputs_BT: Tensor, masks_SBTD: Tensor | None) -> Tensor:
        """Returns hidden states `[B, T, D]`, each of the window up to its position."""
        position_TD = self.position[..., : inputs_BT.shape[-1], :]
        if position_TD.dim() == 3:
            position_TD = position_TD[:, None]
        x_BTD = dropped(lookup(inputs_BT, self.embedding) + position_TD, masks_SBTD, 0)
        for layer, unit in enumerate(self.units):
            x_BTD = unit(x_BTD, masks_SBTD, 1 + layer)
        return normal(x_BTD, self.final_gain, self.final_shift)
