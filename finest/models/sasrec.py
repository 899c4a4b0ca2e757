"""SASRec: self-attention over a user's last interactions (Kang and McAuley, arXiv 1808.09781)."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from finest.models.config import Model
from finest.models.layers import linear, lookup, normal
from finest.models.recommender import Recommender, dropped


class SASRec(Recommender):
    """Pre-normalised transformer blocks, causal attention, learned positions, feed-forward layers as wide as the embedding.

    Embeddings enter as they are: scaled up by the root of their width, as published, they fit ml-100k's noise (5% less MRR on a
    validation cut, and lists of two seeds agree to .61 instead of .70).
    """

    def __init__(self, config: Model, items: int):
        super().__init__(config, items)
        hidden = config.hidden_size
        self.layers, self.heads = config.num_layers, config.num_heads
        self.sites = 1 + 2 * config.num_layers
        self.position = nn.Parameter(torch.empty(config.max_length, hidden))
        self.blocks = nn.ModuleList(Block(hidden) for _ in range(config.num_layers))
        self.final_gain = nn.Parameter(torch.ones(hidden))
        self.final_shift = nn.Parameter(torch.zeros(hidden))

    def encode(self, inputs_BT: Tensor, masks_SBTD: Tensor | None) -> Tensor:
        position_TD = self.position[..., : inputs_BT.shape[-1], :]
        if position_TD.dim() == 3:
            position_TD = position_TD[:, None]
        x_BTD = dropped(lookup(inputs_BT, self.embedding) + position_TD, masks_SBTD, 0)
        for layer, block in enumerate(self.blocks):
            x_BTD = block(x_BTD, self.heads, masks_SBTD, 1 + 2 * layer)
        return normal(x_BTD, self.final_gain, self.final_shift)


class Block(nn.Module):
    """One layer: attention, then the position-wise layers, each added to what it reads."""

    def __init__(self, hidden: int):
        super().__init__()
        self.attention_gain = nn.Parameter(torch.ones(hidden))
        self.attention_shift = nn.Parameter(torch.zeros(hidden))
        self.projection = nn.Parameter(torch.empty(3 * hidden, hidden))
        self.projection_bias = nn.Parameter(torch.zeros(3 * hidden))
        self.output = nn.Parameter(torch.empty(hidden, hidden))
        self.output_bias = nn.Parameter(torch.zeros(hidden))
        self.feed_gain = nn.Parameter(torch.ones(hidden))
        self.feed_shift = nn.Parameter(torch.zeros(hidden))
        self.inner = nn.Parameter(torch.empty(hidden, hidden))
        self.inner_bias = nn.Parameter(torch.zeros(hidden))
        self.outer = nn.Parameter(torch.empty(hidden, hidden))
        self.outer_bias = nn.Parameter(torch.zeros(hidden))

    def forward(self, x_BTD: Tensor, heads: int, masks_SBTD: Tensor | None, site: int) -> Tensor:
        """`[B, T, D]`; `site`: the first of the layer's two masks."""
        x_BTD = x_BTD + dropped(self.attend(x_BTD, heads), masks_SBTD, site)
        return x_BTD + dropped(self.feed(x_BTD), masks_SBTD, site + 1)

    def attend(self, x_BTD: Tensor, heads: int) -> Tensor:
        """Causal self-attention `[B, T, D]`."""
        *_, T, D = x_BTD.shape
        normal_BTD = normal(x_BTD, self.attention_gain, self.attention_shift)
        projected_BTE = linear(normal_BTD, self.projection, self.projection_bias)
        query, key, value = projected_BTE.view(-1, T, 3, heads, D // heads).permute(2, 0, 3, 1, 4)
        mixed_BHTd = F.scaled_dot_product_attention(query, key, value, is_causal=True)
        return linear(mixed_BHTd.transpose(1, 2).reshape(x_BTD.shape), self.output, self.output_bias)

    def feed(self, x_BTD: Tensor) -> Tensor:
        """The position-wise layers `[B, T, D]`."""
        normal_BTD = normal(x_BTD, self.feed_gain, self.feed_shift)
        return linear(F.relu(linear(normal_BTD, self.inner, self.inner_bias)), self.outer, self.outer_bias)
