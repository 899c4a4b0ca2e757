"""The exponential average of a model's weights, which is the model that is kept."""

import torch
from torch import Tensor


class Average:
    """Averages with decay min(`decay`, (1 + t) / (10 + t)) at step t, so that the first steps are soon forgotten."""

    def __init__(self, weights: list[Tensor], decay: float):
        self.decay = decay
        self.weights = [weight.detach().clone() for weight in weights]

    @torch.no_grad()
    def update(self, weights: list[Tensor], step: int) -> None:
        """After optimizer step `step`, from 0."""
        decay = min(self.decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(self.weights, list(weights), 1 - decay)

    @torch.no_grad()
    def copy_to(self, weights: list[Tensor]) -> None:
        """Puts the averages in place of `weights`."""
        torch._foreach_copy_(list(weights), self.weights)
