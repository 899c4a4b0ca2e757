"""Bootstrap draws of means over instances, clustered by user: a user's instances are drawn together.

They cover the choice of users, not the noise of training. Draws are keyed by the seed alone, so that all means over the
same instances are resampled alike and can be compared draw by draw.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from finest.keys import numpy_generator

Values = npt.NDArray[np.float64]

CHUNK = 2**21
"""Number of weights (draws times users) held at a time."""


def mean_draws(user: npt.NDArray[Any], values: Values, draws: int, seed: int) -> Values:
    """Returns the mean of every column of `values` in every draw [draws, V]; all columns see the same users drawn.

    Args:
        user: The user of each instance [M].
        values: Values of the instances [M, V].
        draws: Number of draws.
        seed: Seed that keys the draws.

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
    """Returns how often each of `users` is drawn, in `users` draws with replacement [draws, users]."""
    line = np.arange(draws)[:, None] * users
    drawn = generator.integers(0, users, size=(draws, users)) + line
    return np.bincount(drawn.ravel(), minlength=draws * users).reshape(draws, users).astype(np.float64)
