"""eSASRec: SASRec whose layers are LiGR blocks (Tikhonovich et al., arXiv 2508.06450; blocks: arXiv 2502.03417).

With the paper's loss, `pretrain.loss: sampled_softmax`, or any other.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from finest.models.config import ESASRecConfig
from finest.models.layers import linear, normal, parameter
from finest.models.recommender import dropped
from finest.models.registry import MODELS
from finest.models.sasrec import Attention, SASRec


class LiGRBlock(Attention):
    """One layer: attention, then SwiGLU, each added through a gate.

    With f either of them, x becomes x + sigmoid(G x + b) * f(norm(x)); SwiGLU(x) = W3 (silu(W1 x) * W2 x).
    """

    def __init__(self, config: ESASRecConfig):
        """Makes the layer's parameters."""
        super().__init__(config)
        hidden, inner = config.hidden_size, config.feed_multiplier * config.hidden_size
        self.attention_gate = parameter("normal", hidden, hidden)
        self.attention_gate_bias = parameter("zeros", hidden)
        self.feed_gain = parameter("ones", hidden)
        self.feed_shift = parameter("zeros", hidden)
        self.inner = parameter("normal", 2 * inner, hidden)
        self.outer = parameter("normal", hidden, inner)
        self.feed_gate = parameter("normal", hidden, hidden)
        self.feed_gate_bias = parameter("zeros", hidden)

    def forward(self, x_BTD: Tensor, heads: int, masks_SBTD: Tensor | None, site: int) -> Tensor:
        """Returns the layer's hidden states `[B, T, D]`; `site` is the first of its two masks."""
        gate_BTD = torch.sigmoid(linear(x_BTD, self.attention_gate, self.attention_gate_bias))
        x_BTD = x_BTD + gate_BTD * dropped(self.attend(x_BTD, heads), masks_SBTD, site)
        gate_BTD = torch.sigmoid(linear(x_BTD, self.feed_gate, self.feed_gate_bias))
        return x_BTD + gate_BTD * dropped(self.feed(x_BTD), masks_SBTD, site + 1)

    def feed(self, x_BTD: Tensor) -> Tensor:
        """Returns what the position-wise layers add `[B, T, D]`."""
        left, right = linear(normal(x_BTD, self.feed_gain, self.feed_shift), self.inner).chunk(2, -1)
        return linear(F.silu(left) * right, self.outer)


@MODELS.register("esasrec")
class ESASRec(SASRec):
    """Embeds and normalises as SASRec does."""

    Config = ESASRecConfig
    block = LiGRBlock

    def __init__(self, config: ESASRecConfig, items: int):
        """Makes the layers; `initialise` sets the weights."""
        super().__init__(config, items)
        self.layer_copies = 20 + 5 * config.feed_multiplier
