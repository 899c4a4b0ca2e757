"""Model `fading`: the history as a mean that fades into the past, and a layer on top."""

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from finest.models.config import ModelConfig
from finest.models.recommender import Recommender, dropped


class FadingConfig(ModelConfig):
    """Holds the size of the model, and how fast the past fades."""

    name: Literal["fading"] = "fading"
    """A fading mean of the history."""
    fading: float = Field(default=0.7, gt=0, lt=1)
    """Weight of an interaction against the one after it."""


class Fading(Recommender):
    """Adds a linear layer over the fading mean of the history to the last item, and normalises the sum."""

    Config = FadingConfig
    sites = 1
    past: Tensor

    def __init__(self, config: FadingConfig, items: int):
        """Makes the layers, ordinary ones of torch, and the weights of the past, which no training moves."""
        super().__init__(config, items)
        self.mixed = nn.Linear(config.hidden_size, config.hidden_size)
        self.norm = nn.LayerNorm(config.hidden_size)
        place_T = torch.arange(config.max_length)
        ago_TT = place_T[:, None] - place_T
        faded_TT = torch.where(ago_TT >= 0, config.fading ** ago_TT.clamp(min=0), 0.0)
        self.register_buffer("past", faded_TT / faded_TT.sum(1, keepdim=True))

    def encode(self, inputs_BT: Tensor, masks_SBTD: Tensor | None) -> Tensor:
        """Returns hidden states `[B, T, D]`, each of the window up to its position."""
        T = inputs_BT.shape[1]
        x_BTD = F.embedding(inputs_BT, self.embedding)
        hidden_BTD: Tensor = self.norm(x_BTD + dropped(self.mixed(self.past[:T, :T] @ x_BTD), masks_SBTD, 0))
        return hidden_BTD
