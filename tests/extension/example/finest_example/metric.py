"""Metric `hit_at_3`: whether the target is among the first three."""

import numpy as np
from numpy.typing import NDArray

from finest.metrics.registry import Ranked, metric


@metric(label="Hit@3")
def hit_at_3(ranked: Ranked) -> NDArray[np.float64]:
    """Returns 1 where the target is in the top 3, else 0 [M]."""
    return (ranked.target_rank <= 3).astype(np.float64)
