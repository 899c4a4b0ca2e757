"""GRU4Rec: a gated recurrent network over a user's last interactions (Hidasi et al., arXiv 1511.06939)."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from finest.models.config import Model
from finest.models.recommender import Recommender, dropped


class GRU4Rec(Recommender):
    """Stacked GRU layers and a dense layer back to the embedding's space; cross-entropy over the catalogue in place of sampled ranking.

    Dropout acts on the embeddings that it reads alone: on the hidden states as well, it fits the training rows long before its best
    accuracy (ml-100k, leave-one-out: validation MRR@10 .046 instead of .052).

    Not stackable: replicas would have to unroll the recurrence by hand, and that loses more to PyTorch's fused GRU kernels than it gains.
    """

    stackable = False

    def __init__(self, config: Model, items: int):
        super().__init__(config, items)
        hidden = config.hidden_size
        self.sites = 1
        self.recurrent = nn.GRU(hidden, hidden, config.num_layers, batch_first=True)
        self.dense = nn.Parameter(torch.empty(hidden, hidden))
        self.dense_bias = nn.Parameter(torch.zeros(hidden))

    def encode(self, inputs_BT: Tensor, masks_SBTD: Tensor | None) -> Tensor:
        x_BTD, _ = self.recurrent(dropped(F.embedding(inputs_BT, self.embedding), masks_SBTD, 0))
        return F.linear(x_BTD, self.dense, self.dense_bias)

    def initialise(self, seed: int, scale: float = 0.02) -> None:
        # A recurrent layer this narrow forgets at the embedding's scale: its gates start where PyTorch's do.
        super().initialise(seed, scale)
        with torch.no_grad():
            for name, weight in self.recurrent.named_parameters():
                if "bias" not in name:
                    weight.mul_(self.recurrent.hidden_size**-0.5 / scale)
