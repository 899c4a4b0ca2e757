"""Average overlap over whole catalogues: what published code computes under the name RBO. For comparison with it, never part of a run.

The `rbo` package's default p of 1 weighs all depths alike: random lists score 0.5, and swapping the whole top 10 of 1,682 scores 0.998.
"""

import numpy as np

from finest.metrics.lists import Lists, Values, agreement

ELEMENTS = 2**22
"""Agreements held at a time."""


def average_overlap_full(X: Lists, Y: Lists) -> Values:
    """Mean over all depths of the share of common items [M], of rankings of the whole catalogue [M, I].

    >>> average_overlap_full(np.array([[1, 2, 3], [1, 2, 3]]), np.array([[1, 2, 3], [3, 2, 1]])).tolist()
    [1.0, 0.5]
    """
    rows = max(1, ELEMENTS // X.shape[1])
    parts = [agreement(X[start : start + rows], Y[start : start + rows]).mean(axis=1) for start in range(0, len(X), rows)]
    return np.concatenate([np.zeros(0), *parts])
