"""GRU4Rec: a gated recurrent network over a user's last interactions (Hidasi et al., arXiv 1511.06939)."""

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from finest.keys import torch_generator
from finest.models.config import GRU4RecConfig
from finest.models.layers import parameter
from finest.models.recommender import Recommender, dropped
from finest.models.registry import MODELS


@MODELS.register("gru4rec")
class GRU4Rec(Recommender):
    """Stacks GRU layers and a dense layer back to the embedding's space; cross-entropy in place of sampled ranking.

    Dropout acts on the embeddings that it reads alone: on the hidden states as well, it fits the training rows long
    before its best accuracy (ml-100k, leave-one-out: validation MRR@10 .046 instead of .052).

    Not stackable: replicas would have to unroll the recurrence by hand, and that loses more to PyTorch's fused GRU
    kernels than it gains.
    """

    Config = GRU4RecConfig
    sites = 1
    layer: ClassVar[type[nn.GRU | nn.LSTM]] = nn.GRU
    """What a layer is."""

    def __init__(self, config: GRU4RecConfig, items: int):
        """Makes the layers; `initialise` sets the weights."""
        super().__init__(config, items)
        hidden = config.hidden_size
        self.recurrent = self.layer(hidden, hidden, config.num_layers, batch_first=True)
        self.dense = parameter("normal", hidden, hidden)
        self.dense_bias = parameter("zeros", hidden)

    def encode(self, inputs_BT: Tensor, masks_SBTD: Tensor | None) -> Tensor:
        """Returns hidden states `[B, T, D]`, each of the window up to its position."""
        x_BTD, _ = self.recurrent(dropped(F.embedding(inputs_BT, self.embedding), masks_SBTD, 0))
        return F.linear(x_BTD, self.dense, self.dense_bias)

    @torch.no_grad()
    def initialise(self, seed: int, scale: float = 0.02) -> None:
        """Sets every weight by `seed`; the recurrent layer's in a way of its own."""
        # A recurrent layer this narrow forgets at the embedding's scale: its gates start where PyTorch's do.
        super().initialise(seed, scale)
        for name, weight in self.recurrent.named_parameters(prefix="recurrent"):
            weight.normal_(0.0, scale, generator=torch_generator("weights", seed, name))
            if "bias" not in name:
                weight.mul_(self.recurrent.hidden_size**-0.5 / scale)
