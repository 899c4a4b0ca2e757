"""Means over seeds, and their intervals."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from finest.gate.statistic import quantile

CONFIDENCE = 0.95


class Mean(NamedTuple):
    """Holds a mean over seeds, and the ends of its 95% interval; NaN ends where one seed alone has no spread."""

    value: float
    low: float
    high: float
    seeds: int


def mean(values: Sequence[float]) -> Mean:
    """Returns the mean of numbers of S independent seeds with its two-sided 95% interval, m +- t(S - 1) s / sqrt(S).

    It covers what other seeds would give on the same data and scenarios, not other users, rows or data sets.

    >>> [round(one, 3) for one in mean([0.90, 0.91, 0.92])[:3]]
    [0.91, 0.885, 0.935]
    >>> mean([0.9])
    Mean(value=0.9, low=nan, high=nan, seeds=1)
    """
    count = len(values)
    middle = math.fsum(values) / count
    if count < 2:
        return Mean(middle, math.nan, math.nan, count)
    spread = math.sqrt(math.fsum((one - middle) ** 2 for one in values) / (count - 1))
    margin = quantile((1 + CONFIDENCE) / 2, count - 1) * spread / math.sqrt(count)
    return Mean(middle, middle - margin, middle + margin, count)


def difference(ours: dict[int, float], theirs: dict[int, float]) -> Mean | None:
    """Returns the mean of `theirs` less `ours` over the seeds that both have, paired; None where there is none.

    Args:
        ours: Value by seed.
        theirs: Value by seed.
    """
    both = sorted(ours.keys() & theirs.keys())
    return mean([theirs[seed] - ours[seed] for seed in both]) if both else None


def apart(one: Mean, other: Mean) -> bool:
    """Tells whether two intervals have nothing in common; of one seed they are without end."""
    return one.low > other.high or other.low > one.high
