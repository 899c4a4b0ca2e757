"""What a training step tells whoever watches it."""

from collections.abc import Callable
from dataclasses import dataclass

LINE_SECONDS = 30.0
"""Least time between two lines of a log about the same."""


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
    resumed: bool = False
    """Whether the epoch is one that an earlier process has trained, and this one goes on from."""


Report = Callable[[Progress], None]
