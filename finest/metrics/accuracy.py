"""Accuracy of next-item rankings over the full catalogue, a value an instance.

All take target ranks [M]: the mean rank under ties, from 1, NaN where the target cannot be ranked, which counts as not found.
"""

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]


def mean_rank(scores: npt.NDArray[np.floating], target: npt.NDArray[np.int64]) -> Values:
    """The rank [M] of column `target` [M] in each row of `scores` [M, I], best first from 1, as the mean over all orders of ties.

    >>> mean_rank(np.array([[3.0, 1.0, 2.0], [0.0, 0.0, 0.0]]), np.array([2, 0])).tolist()
    [2.0, 2.0]
    """
    own = np.take_along_axis(scores, target[:, None], axis=1)
    rank: Values = np.count_nonzero(scores > own, axis=1) + (np.count_nonzero(scores == own, axis=1) + 1) / 2
    return rank


def reciprocal_rank(target_rank: Values) -> Values:
    """1 / rank [M]; its mean is the MRR.

    >>> reciprocal_rank(np.array([1, 4, np.nan])).tolist()
    [1.0, 0.25, 0.0]
    """
    return np.nan_to_num(1 / target_rank)


def recall_at(target_rank: Values, k: int = 10) -> Values:
    """1 where the target is among the first k [M].

    >>> recall_at(np.array([1, 10, 10.5, np.nan])).tolist()
    [1.0, 1.0, 0.0, 0.0]
    """
    return (target_rank <= k).astype(np.float64)


def ndcg_at(target_rank: Values, k: int = 10) -> Values:
    """1 / log2(1 + rank) where the target is among the first k, else 0 [M]: the only relevant item is the target.

    >>> ndcg_at(np.array([1, 3, 11, np.nan])).tolist()
    [1.0, 0.5, 0.0, 0.0]
    """
    return np.where(target_rank <= k, 1 / np.log2(1 + target_rank), 0.0)
