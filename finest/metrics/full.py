"""Average overlap over whole catalogues: what published code computes under the name RBO. For comparison with it, never part of a run.

The `rbo` package's default p of 1 weighs all depths alike: random lists score 0.5, and swapping the whole top 10 of 1,682 scores 0.998.
"""

import numpy as np

from finest.metrics.lists import Lists, Values

TABLE_BYTES = 2**19
"""Of a chunk's table: half of a usual core's own cache."""


def average_overlap_full(X: Lists, Y: Lists) -> Values:
    """Mean over all depths of the share of common items [M], of rankings of the whole catalogue [M, I].

    An item at place i of X and j of Y is common at all depths d > max(i, j), and adds 1 / d at each: a weight that falls with the place,
    so the item adds the smaller of its two places' weights.

    >>> average_overlap_full(np.array([[1, 2, 3], [1, 2, 3]]), np.array([[1, 2, 3], [3, 2, 1]])).round(3).tolist()
    [1.0, 0.5]
    """
    M, D = X.shape
    items = int(max(X.max(initial=0), Y.max(initial=0))) + 1
    rows = max(1, min(M, TABLE_BYTES // (8 * items)))
    of_x, at = np.empty((rows, D)), np.empty((rows, D), np.int64)
    weight = np.cumsum((1 / np.arange(1, D + 1))[::-1])[::-1]
    weights = np.tile(weight, (rows, 1))
    flat = np.zeros(rows * items)
    first = np.arange(rows)[:, None] * items
    summed, each = np.zeros(M), np.ones(D)
    for start in range(0, M, rows):
        x, y = X[start : start + rows], Y[start : start + rows]
        count = len(x)
        flat[np.add(first[:count], y, out=at[:count])] = weights[:count]
        found = flat.take(np.add(first[:count], x, out=at[:count]), out=of_x[:count], mode="clip")  # not "raise": that checks first
        summed[start : start + rows] = np.minimum(found, weight, out=found) @ each
    return summed / D
