"""Describes what a training step reports while it runs."""

from collections.abc import Callable
from dataclasses import dataclass

LINE_SECONDS = 30.0
"""Least number of seconds between two lines of a log about the same training."""


@dataclass(frozen=True)
class Progress:
    """Tells of an epoch that one variant has finished."""

    done: float
    """Share of the step's epochs, 0 to 1."""
    text: str
    """A text for a terminal, like `clean 7/12, 31k targets/s`."""
    variant: str
    stage: str
    """`pretrain` or `finetune`."""
    epoch: int
    """Number of the epoch, from 1."""
    loss: float
    resumed: bool = False
    """Whether the epoch is one that an earlier process has trained, and this one goes on from."""
    of: str = "epochs"
    """Name of what `done` is a share of."""


Report = Callable[[Progress], None]
