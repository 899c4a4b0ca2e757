"""BERT4Rec: bidirectional self-attention, trained to fill in masked items (Sun et al., CIKM 2019, arXiv 1904.06690)."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from finest.models.config import BERT4RecConfig
from finest.models.layers import normal, parameter
from finest.models.recommender import Task, dropped
from finest.models.registry import MODELS
from finest.models.sasrec import SASRec


@MODELS.register("bert4rec")
class BERT4Rec(SASRec):
    """Reads a history both ways, and scores items by the state of a mask put behind it.

    Positions count back from a window's end, where the mask stands in ranking, as they do in the paper's padding in
    front. In training a window is either a history cut off at random with a mask behind, which is what ranking asks
    for, or one with a share of its items masked anywhere (the paper's cloze task). So a step has fewer targets than a
    causal model's, and training takes more steps.

    Where it differs from the paper: cut windows are cut anywhere, not behind their last item alone, and drawn anew
    every epoch; layers are those of SASRec here (normalised before, ReLU, as wide as the embedding), and their states
    score items as they are, without a projection; every masked item is replaced by the mask. What a causal model gets
    from one pass over a window, a pass for each position gives here: reference lists take as many times longer as
    windows are long. Not stackable.
    """

    Config = BERT4RecConfig
    stackable = False
    causal = False

    def __init__(self, config: BERT4RecConfig, items: int):
        """Makes the layers; `initialise` sets the weights."""
        super().__init__(config, items)
        self.masked_share, self.cut_share, self.mask = config.masked_share, config.cut_share, items + 1
        self.mask_embedding = parameter("normal", 1, config.hidden_size)

    def encode(self, inputs_BT: Tensor, masks_SBTD: Tensor | None) -> Tensor:
        """Returns hidden states `[B, T, D]`, each of the whole window."""
        place_T = torch.arange(inputs_BT.shape[1], device=inputs_BT.device)
        back_BT = ((inputs_BT > 0).sum(1, keepdim=True) - 1 - place_T).clamp(min=0)
        seen_BT = (inputs_BT > 0) | (place_T == 0)  # an empty window sees its padding
        mix = partial(F.scaled_dot_product_attention, attn_mask=seen_BT[:, None, None])
        table = torch.cat([self.embedding, self.mask_embedding])
        x_BTD = dropped(F.embedding(inputs_BT, table) + F.embedding(back_BT, self.position), masks_SBTD, 0)
        for layer, block in enumerate(self.blocks):
            x_BTD = block(x_BTD, self.heads, masks_SBTD, 1 + 2 * layer, mix)
        return normal(x_BTD, self.final_gain, self.final_shift)

    def task(self, window: Task, draw: Callable[[], Tensor]) -> Task:
        """Returns windows that are cut off with a mask behind, and others with some items masked anywhere."""
        inputs_BT, targets_BT, ids_BT = window
        number_B1 = (targets_BT > 0).sum(1, keepdim=True)
        drawn_B1, cut_B1, hidden_BT = draw()[:, :1], draw()[:, :1] < self.cut_share, draw() < self.masked_share
        last_B1 = (drawn_B1 * number_B1).long().minimum(number_B1 - 1).clamp(min=0)
        place_T = torch.arange(targets_BT.shape[1], device=targets_BT.device)
        history_BT, place_B1 = self._masked_behind(inputs_BT * (place_T <= last_B1))
        history_BT = torch.where(number_B1 > 0, history_BT, 0)
        there_BT = torch.zeros_like(targets_BT).scatter(1, place_B1, targets_BT.gather(1, last_B1))
        kept_BT = torch.full_like(ids_BT, -1).scatter(1, place_B1, ids_BT.gather(1, last_B1))
        hidden_BT &= targets_BT > 0
        return Task(
            torch.where(cut_B1, history_BT, torch.where(hidden_BT, self.mask, targets_BT)),
            torch.where(cut_B1, there_BT, torch.where(hidden_BT, targets_BT, 0)),
            torch.where(cut_B1, kept_BT, -1),
        )

    def summary(self, histories_BT: Tensor) -> Tensor:
        """Returns the hidden states `[B, D]` of a mask behind each history."""
        codes_BT, place_B1 = self._masked_behind(histories_BT)
        return self.encode(codes_BT, None)[torch.arange(len(codes_BT), device=codes_BT.device), place_B1[:, 0]]

    def _masked_behind(self, histories_BT: Tensor) -> tuple[Tensor, Tensor]:
        """Returns histories with a mask behind, in place of the oldest item where they are full, and where it is."""
        length_B1, T = (histories_BT > 0).sum(1, keepdim=True), histories_BT.shape[1]
        codes_BT = torch.where(length_B1 == T, F.pad(histories_BT[:, 1:], (0, 1)), histories_BT)
        place_B1 = length_B1.clamp(max=T - 1)
        return codes_BT.scatter(1, place_B1, self.mask), place_B1
