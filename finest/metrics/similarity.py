"""Similarities of rank lists, a value an instance: RLS is their mean.

The definitions are in finest/metrics/overlaps.py.
"""

import numpy as np

from finest.metrics.overlaps import Lists, P, Pair, Values, overlaps
from finest.metrics.registry import SIMILARITIES, measured, similarity


@SIMILARITIES.register("rbo")
@similarity(label="rbo")
def rank_biased(pair: Pair) -> Values:
    """Returns RBO [M], extrapolated behind the shorter list."""
    return pair.overlaps.rbo


@SIMILARITIES.register("frbo")
@similarity(label="finite rbo", shown="nowhere")
def finite_rank_biased(pair: Pair) -> Values:
    """Returns finite RBO [M], which counts no depth behind the shorter list."""
    return pair.overlaps.frbo


@SIMILARITIES.register("jaccard_at_10")
@similarity(label="Jaccard@10")
def jaccard_at_10(pair: Pair) -> Values:
    """Returns common items over all items of both top 10s [M]."""
    return pair.overlaps.jaccard


@SIMILARITIES.register("top1_agreement")
@similarity(label="Same top item", shown="report")
def top1_agreement(pair: Pair) -> Values:
    """Returns 1 where the best item is the same, else 0 [M]."""
    return np.asarray(pair.X[:, 0] == pair.Y[:, 0], dtype=np.float64)


def similarities(X: Lists, Y: Lists) -> dict[str, Values]:
    """Returns every registered similarity of two sets of lists [M, D] by name, each [M].

    >>> {name: values.tolist() for name, values in similarities(np.array([[1, 2, 3]]), np.array([[1, 2, 3]])).items()}
    {'rbo': [1.0], 'frbo': [1.0], 'jaccard_at_10': [1.0], 'top1_agreement': [1.0]}
    """
    pair = Pair(X, Y)
    return {name: measured(SIMILARITIES, name, pair, high=1 + 1e-9) for name in SIMILARITIES}


def rbo(X: Lists, Y: Lists, p: float = P) -> Values:
    """Returns RBO [M] of two sets of lists [M, D] with persistence `p`.

    >>> rbo(np.array([[1, 2, 3], [1, 2, 3]]), np.array([[1, 3, 2], [7, 8, 9]])).round(3).tolist()
    [0.955, 0.0]
    """
    return overlaps(X, Y, p).rbo
