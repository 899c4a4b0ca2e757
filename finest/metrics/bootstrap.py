"""Bootstrap intervals of means over instances, clustered by user: a user's instances are drawn together.

They cover the choice of users, not the noise of training. Draws are keyed by the seed alone, so that all means over the same instances
are resampled alike and can be compared draw by draw.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from finest.keys import numpy_generator

Values = npt.NDArray[np.float64]

CHUNK = 2**21
"""Weights (draws times users) held at a time."""


@dataclass(frozen=True)
class Interval:
    """A statistic with its bootstrap standard error and the bounds of its interval."""

    value: float
    error: float
    low: float
    high: float


def mean(user: npt.NDArray[Any], values: Values, draws: int, seed: int, level: float = 0.9) -> Interval:
    """Mean of `values` [M], of the instances of `user` [M]. The default interval's ends are one-sided 95% bounds each.

    >>> mean(np.array([0, 0, 1, 1]), np.array([1.0, 1.0, 1.0, 1.0]), draws=100, seed=0)
    Interval(value=1.0, error=0.0, low=1.0, high=1.0)
    """
    return summary(float(values.mean()), mean_draws(user, values[:, None], draws, seed)[:, 0], level)


def ratio(
    user: npt.NDArray[Any], numerator: Values, denominator: Values, draws: int, seed: int, level: float = 0.9
) -> Interval:
    """Mean of `numerator` over mean of `denominator`, paired: both [M] of the same instances. Not finite where the denominator is 0.

    >>> interval = ratio(np.array([0, 1, 2]), np.array([2.0, 4.0, 6.0]), np.array([1.0, 2.0, 3.0]), draws=100, seed=0)
    >>> interval.value, interval.low
    (2.0, 2.0)
    """
    above, below = mean_draws(user, np.stack([numerator, denominator], axis=1), draws, seed).T
    with np.errstate(divide="ignore", invalid="ignore"):
        return summary(float(numerator.mean() / denominator.mean()), above / below, level)


def summary(value: float, drawn: Values, level: float = 0.9) -> Interval:
    """The interval of a statistic from its values in the draws [draws], by their quantiles."""
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return Interval(value, float(drawn.std(ddof=1)), float(low), float(high))


def mean_draws(user: npt.NDArray[Any], values: Values, draws: int, seed: int) -> Values:
    """Means of every column of `values` [M, V] in every draw [draws, V]; all columns see the same users drawn.

    >>> mean_draws(np.array([0, 0, 1]), np.array([[1.0], [1.0], [0.0]]), draws=4, seed=1).shape
    (4, 1)
    """
    code = np.unique(user, return_inverse=True)[1]
    users = int(code.max()) + 1
    columns = np.column_stack([values, np.ones(len(values))])
    sums = np.stack([np.bincount(code, column, minlength=users) for column in columns.T], axis=1)
    generator = numpy_generator("bootstrap", seed)
    rows = max(1, CHUNK // users)
    drawn = np.concatenate(
        [_weights(generator, min(rows, draws - done), users) @ sums for done in range(0, draws, rows)]
    )
    means: Values = drawn[:, :-1] / drawn[:, -1:]
    return means


def _weights(generator: np.random.Generator, draws: int, users: int) -> Values:
    """How often each of `users` is drawn, in `users` draws with replacement [draws, users]."""
    line = np.arange(draws)[:, None] * users
    drawn = generator.integers(0, users, size=(draws, users)) + line
    return np.bincount(drawn.ravel(), minlength=draws * users).reshape(draws, users).astype(np.float64)
