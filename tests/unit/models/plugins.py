"""Recommenders as another package would write them: of torch's own modules, and one that reads both ways."""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from finest.models.config import ModelConfig
from finest.models.layers import parameter
from finest.models.recommender import Recommender, Task, dropped


class PlainConfig(ModelConfig):
    """Holds the size of a Plain."""

    name: Literal["plain"] = "plain"


class Plain(Recommender):
    """Mixes a history by weights that fall with the distance, in torch's own modules; counts its calls in a buffer."""

    Config = PlainConfig
    sites = 1
    calls: Tensor

    def __init__(self, config: PlainConfig, items: int):
        """Makes the layers."""
        super().__init__(config, items)
        self.positions = nn.Embedding(config.max_length, config.hidden_size)
        self.norm = nn.LayerNorm(config.hidden_size)
        self.linear = nn.Linear(config.hidden_size, config.hidden_size)
        self.register_buffer("calls", torch.zeros((), dtype=torch.int64))

    def encode(self, inputs_BT: Tensor, masks_SBTD: Tensor | None) -> Tensor:
        """Returns hidden states `[B, T, D]`."""
        if self.training:
            self.calls += 1
        T = inputs_BT.shape[1]
        x_BTD = F.embedding(inputs_BT, self.embedding) + self.positions.weight[:T]
        weight_TT = 0.5 ** (torch.arange(T)[:, None] - torch.arange(T)).clamp(min=0)
        mixed_BTD = weight_TT.tril().to(x_BTD) @ dropped(x_BTD, masks_SBTD, 0)
        hidden_BTD: Tensor = self.linear(self.norm(mixed_BTD))
        return hidden_BTD


class MaskedConfig(ModelConfig):
    """Holds the size of a Masked, and what it masks."""

    name: Literal["masked"] = "masked"
    masked_share: float = 0.3
    """Share of a window's items that are masked, where not its last alone is."""


class Masked(Recommender):
    """Attends to both sides, as BERT4Rec does, and predicts what is masked; one layer."""

    Config = MaskedConfig
    sites = 1
    causal = False

    def __init__(self, config: MaskedConfig, items: int):
        """Makes the layers."""
        super().__init__(config, items)
        self.share, self.mask = config.masked_share, items + 1
        self.mask_embedding = parameter("normal", 1, config.hidden_size)
        self.positions = nn.Embedding(config.max_length, config.hidden_size)
        self.norm, self.final = nn.LayerNorm(config.hidden_size), nn.LayerNorm(config.hidden_size)
        self.project = nn.Linear(config.hidden_size, 3 * config.hidden_size)

    def encode(self, inputs_BT: Tensor, masks_SBTD: Tensor | None) -> Tensor:
        """Returns hidden states `[B, T, D]`, each of the whole window."""
        T = inputs_BT.shape[1]
        x_BTD = F.embedding(inputs_BT, torch.cat([self.embedding, self.mask_embedding])) + self.positions.weight[:T]
        x_BTD = dropped(x_BTD, masks_SBTD, 0)
        query, key, value = self.project(self.norm(x_BTD)).chunk(3, -1)
        seen_BT = (inputs_BT > 0) | (torch.arange(T, device=x_BTD.device) == 0)  # an empty window sees its padding
        hidden_BTD: Tensor = self.final(x_BTD + F.scaled_dot_product_attention(query, key, value, seen_BT[:, None]))
        return hidden_BTD

    def task(self, window: Task, draw: Callable[[], Tensor]) -> Task:
        """Returns windows whose last item alone is masked, half of them, and others with a share masked anywhere.

        The former are what a history is scored by, and keep reference lists.
        """
        inputs, targets, ids = window
        number_B = (targets > 0).sum(1)
        rows, last_B = torch.arange(len(targets), device=targets.device), (number_B - 1).clamp(min=0)
        history_BT, place_B = self._masked_behind(inputs)
        history_BT = torch.where(number_B[:, None] > 0, history_BT, 0)
        there_BT = torch.zeros_like(targets).index_put_((rows, place_B), targets[rows, last_B])
        kept_BT = torch.full_like(ids, -1).index_put_((rows, place_B), ids[rows, last_B])
        hidden_BT = (draw() < self.share) & (targets > 0)
        alone_B1 = draw()[:, :1] < 0.5
        return Task(
            torch.where(alone_B1, history_BT, torch.where(hidden_BT, self.mask, targets)),
            torch.where(alone_B1, there_BT, torch.where(hidden_BT, targets, 0)),
            torch.where(alone_B1, kept_BT, -1),
        )

    def summary(self, histories_BT: Tensor) -> Tensor:
        """Returns the hidden states `[B, D]` of a mask behind each history."""
        codes_BT, place_B = self._masked_behind(histories_BT)
        return self.encode(codes_BT, None)[torch.arange(len(codes_BT), device=codes_BT.device), place_B]

    def _masked_behind(self, histories_BT: Tensor) -> tuple[Tensor, Tensor]:
        """Returns histories with a mask behind, in place of the oldest item where they are full, and where it is."""
        length_B, T = (histories_BT > 0).sum(1), histories_BT.shape[1]
        codes_BT = torch.where(length_B[:, None] == T, F.pad(histories_BT[:, 1:], (0, 1)), histories_BT)
        place_B = length_B.clamp(max=T - 1)
        codes_BT = codes_BT.clone()
        codes_BT[torch.arange(len(codes_BT), device=codes_BT.device), place_B] = self.mask
        return codes_BT, place_B
