"""What a training step tells whoever watches it."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """After an epoch of one variant."""

    done: float
    """Share of the step's epochs, 0 to 1."""
    text: str
    """For a terminal, like `clean 7/12, 31k targets/s`."""
    variant: str
    stage: str
    """`pretrain` or `finetune`."""
    epoch: int
    """From 1."""
    loss: float


Report = Callable[[Progress], None]
