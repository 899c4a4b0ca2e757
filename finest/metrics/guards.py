"""Qualities that a model could trade for stability: coverage, difference between users, plasticity."""

from typing import Any

import numpy as np
import numpy.typing as npt

from finest.metrics.overlaps import HEAD, Lists, Values
from finest.metrics.similarity import rbo


def coverage_at(lists: Lists, catalogue: int, k: int = HEAD) -> float:
    """Returns the share of the `catalogue` items that stand in the first k of any list [M, D].

    >>> coverage_at(np.array([[1, 2, 9], [2, 3, 9]]), catalogue=6, k=2)
    0.5
    """
    shown = np.unique(lists[:, :k])
    return float(np.count_nonzero(shown >= 0) / catalogue)


def users_shown(user: npt.NDArray[np.int64], lists: Lists, items: int, k: int = HEAD) -> npt.NDArray[np.int64]:
    """Returns how many users are shown each item in the first k of any of their lists [I].

    `user` [M] holds the user's code of each of the `lists` [M, D], and `items` is I: the lists' codes are below it.

    >>> users_shown(np.array([0, 0, 1]), np.array([[1, 2], [1, 0], [1, -1]]), items=3, k=2).tolist()
    [1, 2, 1]
    """
    head = lists[:, :k]
    pairs = np.unique((user[:, None] * items + head)[head >= 0])
    return np.bincount(pairs % items, minlength=items)


def last_of_user(user: npt.NDArray[Any], position: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Returns the row of each user's last instance [U], in order of the users.

    >>> last_of_user(np.array(["b", "a", "b"]), np.array([4, 7, 5])).tolist()
    [1, 2]
    """
    order, same = _in_order(user, position)
    return order[np.r_[~same, True]]


def overlap_between_users(lists: Lists, k: int = HEAD) -> Values:
    """Returns the mean share of the first k that each user's list has in common with another user's [U].

    Exact over all pairs of users, by counting items. `lists` [U, D] holds one list a user: take each user's last
    instance (`last_of_user`), or users with many instances count as many.

    >>> overlap_between_users(np.array([[1, 2], [1, 3], [1, 2]]), k=2).tolist()
    [0.75, 0.5, 0.75]
    """
    head = lists[:, :k]
    held = head >= 0
    count = np.bincount(head[held], minlength=1)
    others = np.where(held, count[np.maximum(head, 0)] - 1, 0).sum(axis=1)
    shares: Values = others / (max(len(lists) - 1, 1) * k)
    return shares


def popularity_bias(lists: Lists, counts: npt.NDArray[np.int64], k: int = HEAD) -> Values:
    """Returns the mean popularity percentile of the first k [M].

    It is 0.5 for items drawn uniformly, and towards 1 for the most popular ones alone. An item's percentile is the
    share of the catalogue with fewer training interactions, items with as many counting half. `counts` holds the
    training interactions by code, negative where the code is no item of the catalogue (padding, or another
    catalogue's).

    >>> popularity_bias(np.array([[0, 1], [2, 3]]), np.array([9, 5, 5, 1]), k=2).tolist()
    [0.6875, 0.3125]
    """
    held = np.sort(counts[counts >= 0])
    below, up_to = np.searchsorted(held, counts, "left"), np.searchsorted(held, counts, "right")
    percentile = np.where(counts >= 0, (below + up_to) / (2 * len(held)), 0.0)
    head = lists[:, :k]
    known = (head >= 0) & (counts[head] >= 0)
    means: Values = np.where(known, percentile[head], 0.0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    return means


def plasticity(
    user: npt.NDArray[Any], position: npt.NDArray[np.int64], lists: Lists
) -> tuple[Values, npt.NDArray[np.int64]]:
    """Returns 1 - rbo between a user's lists at an instance and at the next: how far lists move when the history grows.

    `user`, `position` [M] and `lists` [M, D] are of the same instances, in any order. There is a value a pair [Q], and
    the row of the pair's later instance [Q]; users with a single instance have none.

    >>> plasticity(np.array(["a", "a", "b"]), np.array([4, 5, 9]), np.array([[1, 2], [3, 4], [1, 2]]))
    (array([1.]), array([1]))
    """
    order, same = _in_order(user, position)
    before, after = order[:-1][same], order[1:][same]
    return 1 - rbo(lists[before], lists[after]), after


def _in_order(
    user: npt.NDArray[Any], position: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Returns rows by user and position [M], and whether each but the last is followed by one of its user [M - 1]."""
    code = np.unique(user, return_inverse=True)[1]
    order = np.lexsort((position, code))
    return order, code[order][1:] == code[order][:-1]
