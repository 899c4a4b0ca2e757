"""Computes a loss against drawn items, without the scores of any others.

Shapes: R replicas (1 for a training alone), P positions, C drawn items, I items, D hidden units.
"""

import torch
from torch import Tensor

from finest.models.layers import lookup
from finest.training.losses.base import SampledLoss


def sampled_loss(
    loss: SampledLoss,
    hidden_RPD: Tensor,
    embedding: Tensor,
    bias: Tensor,
    target_RP: Tensor,
    negative_RC: Tensor,
    count_RP: Tensor,
) -> Tensor:
    """Computes each replica's mean loss, of which autograd takes the gradient.

    Args:
        loss: The loss.
        hidden_RPD: Hidden states.
        embedding: [R, I + 1, D] item embeddings, padding at 0.
        bias: [R, I + 1] item biases, padding at 0.
        target_RP: Item codes, from 1; any where the count is infinite.
        negative_RC: Codes of the drawn items.
        count_RP: Number of targets that a position's mean is over; infinite for a position without a target.

    Returns:
        `[R]`.
    """
    own_RP1 = ((hidden_RPD * lookup(target_RP, embedding)).sum(-1) + bias.gather(1, target_RP))[..., None]
    of_negatives = lookup(negative_RC, embedding).transpose(1, 2)
    others_RPC = torch.baddbmm(bias.gather(1, negative_RC)[:, None], hidden_RPD, of_negatives)
    others_RPC = others_RPC.masked_fill(negative_RC[:, None] == target_RP[..., None], -torch.inf)
    scores = torch.cat([own_RP1.to(bias.dtype), others_RPC.to(bias.dtype)], -1)  # under autocast sums are float32
    return (loss(scores, embedding.shape[1] - 1) / count_RP).sum(1)
