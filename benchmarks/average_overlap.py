"""Average overlap of rankings of whole catalogues, which published code computes under the name RBO.

It is here for comparison with that code and is never part of a run. The `rbo` package's default p of 1 weighs all
depths alike: random lists score 0.5, and swapping the whole top 10 of 1,682 scores 0.998.
"""

import numpy as np
import torch

from finest.metrics.overlaps import Lists, Values

TABLE_BYTES = 2**19
"""Size of a chunk's table in bytes: half of a usual core's own cache."""


def average_overlap_full(X: Lists, Y: Lists) -> Values:
    """Computes the mean, over all depths, of the share of common items.

    An item at place i of X and j of Y is common at all depths d > max(i, j), and adds 1 / d at each: a weight that
    falls with the place, so the item adds the smaller of its two places' weights.

    Args:
        X: Rankings of the whole catalogue, item codes [M, I].
        Y: Rankings of the same instances by another model, item codes [M, I].

    Returns:
        The average overlap of each pair, from 0 to 1, [M].

    >>> average_overlap_full(np.array([[1, 2, 3], [1, 2, 3]]), np.array([[1, 2, 3], [3, 2, 1]])).round(3).tolist()
    [1.0, 0.5]
    """
    M, D = X.shape
    X_codes, Y_codes = (torch.from_numpy(np.require(codes, np.int64, ["C", "W"])) for codes in (X, Y))
    items = int(max(X.max(initial=0), Y.max(initial=0))) + 1
    rows = max(1, min(M, TABLE_BYTES // (8 * items)))
    weight = np.cumsum((1 / np.arange(1, D + 1))[::-1])[::-1]
    weights = torch.from_numpy(np.tile(weight, (rows, 1)))
    table, of_x = torch.zeros((rows, items), dtype=weights.dtype), torch.empty_like(weights)
    summed, each = np.zeros(M), np.ones(D)
    for start in range(0, M, rows):
        x, y = X_codes[start : start + rows], Y_codes[start : start + rows]
        count = len(x)
        table[:count].scatter_(1, y, weights[:count])
        found = torch.gather(table[:count], 1, x, out=of_x[:count]).numpy()
        summed[start : start + rows] = np.minimum(found, weight, out=found) @ each
    mean: Values = summed / D
    return mean
