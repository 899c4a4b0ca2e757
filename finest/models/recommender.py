"""The interface of a sequential recommender.

Shapes in this folder: B windows, T positions, D hidden units, N positions that are scored, I items, S dropout sites, H heads. A stack of
R replicas (`finest.training.replicas`) has R in front of every weight and of every shape but the sites'.
"""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from finest.keys import torch_generator
from finest.models.config import Model


class Recommender(nn.Module, ABC):
    """Encodes windows of item codes; scores the whole catalogue with the item embedding that it reads windows with, and a bias.

    Windows are padded behind (code 0) and encoders look back only, so padding reaches nothing that is scored.
    """

    sites: int
    """Places where dropout acts; `encode` takes a mask for each."""
    stackable = True
    """Whether replicas with a leading axis on every weight can compute as one."""

    def __init__(self, config: Model, items: int):
        super().__init__()
        self.max_length = config.max_length
        self.items = items
        self.embedding = nn.Parameter(torch.empty(items + 1, config.hidden_size))
        self.bias = nn.Parameter(torch.zeros(items + 1))

    @abstractmethod
    def encode(self, inputs_BT: Tensor, masks_SBTD: Tensor | None) -> Tensor:
        """Hidden states `[B, T, D]`. `masks_SBTD`: what activations are multiplied by, or None outside training."""

    def scores(self, hidden_ND: Tensor) -> Tensor:
        """Scores `[N, I]` of all items; column c - 1 is the item of code c."""
        if self.bias.dim() == 2:
            return torch.baddbmm(self.bias[:, None, 1:], hidden_ND, self.embedding[:, 1:].transpose(1, 2))
        return torch.addmm(self.bias[1:], hidden_ND, self.embedding[1:].t())

    def initialise(self, seed: int, scale: float = 0.02) -> None:
        """Sets every weight from a stream of its own, so that one tensor's shape does not move another's values."""
        for name, weight in self.named_parameters():
            with torch.no_grad():
                if name.endswith(("bias", "_shift")):
                    weight.zero_()
                elif name.endswith("_gain"):
                    weight.fill_(1.0)
                else:
                    weight.normal_(0.0, scale, generator=torch_generator("weights", seed, name))


def dropped(x_BTD: Tensor, masks_SBTD: Tensor | None, site: int) -> Tensor:
    """`x_BTD` under the mask of its site; itself outside training."""
    return x_BTD if masks_SBTD is None else x_BTD * masks_SBTD[site]
