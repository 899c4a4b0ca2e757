"""Accuracy of next-item rankings over the full catalogue, a value an instance.

The functions of target ranks take [M]: the mean rank under ties, from 1, NaN where the target cannot be ranked, which
counts as not found.
"""

import numpy as np

from finest.metrics.overlaps import Values
from finest.metrics.registry import METRICS, Ranked, metric


@METRICS.register("mrr")
@metric(label="MRR")
def mrr(ranked: Ranked) -> Values:
    """Returns reciprocal ranks [M]; their mean is the MRR, which the gate bounds."""
    return reciprocal_rank(ranked.target_rank)


@METRICS.register("recall_at_10")
@metric(label="Recall@10")
def recall_at_10(ranked: Ranked) -> Values:
    """Returns 1 where the target is in the top 10, else 0 [M]."""
    return recall_at(ranked.target_rank)


@METRICS.register("ndcg_at_10")
@metric(label="NDCG@10")
def ndcg_at_10(ranked: Ranked) -> Values:
    """Returns the discounted gain of the target in the top 10 [M]."""
    return ndcg_at(ranked.target_rank)


def reciprocal_rank(target_rank: Values) -> Values:
    """Returns 1 / rank [M], 0 for a target that cannot be ranked.

    >>> reciprocal_rank(np.array([1, 4, np.nan])).tolist()
    [1.0, 0.25, 0.0]
    """
    return np.nan_to_num(1 / target_rank)


def recall_at(target_rank: Values, k: int = 10) -> Values:
    """Returns 1 where the target is among the first `k`, else 0 [M].

    >>> recall_at(np.array([1, 10, 10.5, np.nan])).tolist()
    [1.0, 1.0, 0.0, 0.0]
    """
    return (target_rank <= k).astype(np.float64)


def ndcg_at(target_rank: Values, k: int = 10) -> Values:
    """Returns 1 / log2(1 + rank) where the target, the only relevant item, is among the first `k`; else 0 [M].

    >>> ndcg_at(np.array([1, 3, 11, np.nan])).tolist()
    [1.0, 0.5, 0.0, 0.0]
    """
    return np.where(target_rank <= k, 1 / np.log2(1 + target_rank), 0.0)
