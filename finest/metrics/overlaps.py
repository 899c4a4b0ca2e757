"""Common items of rank lists at every depth: the work that list similarities share.

X and Y are two sets of rank lists [M, D], best item first, as codes of one vocabulary, -1 behind a short list; a list
holds no item twice. A_d is the share of items that the first d of both have in common. Rank-biased overlap: Webber,
Moffat and Zobel, A similarity measure for indefinite rankings (TOIS 2010). Two empty lists are equal; an empty list has
nothing in common with any other.
"""

from collections.abc import Iterator
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

P = 0.9
"""Persistence: how much an overlap at depth d + 1 weighs against one at d. The first 10 places carry 86% of
the weight."""
HEAD = 10
"""Number of items that a user sees at once; the k of `jaccard_at_10`."""
ROWS = 512
"""Most rows of a chunk."""

Lists = npt.NDArray[np.signedinteger]
Values = npt.NDArray[np.float64]
Depths = npt.NDArray[np.signedinteger]


class Overlaps(NamedTuple):
    """Holds what one pass over two sets of lists finds, each [M] and from 0 to 1."""

    rbo: Values
    """RBO_ext (Webber et al., equation 32): of two lists of n items, (1-p) sum_{d<=n} p^(d-1) A_d + p^n A_n. Of a list
    of s items and a longer one of l, the shorter one is taken to agree behind its end as it did up to it:
    (1-p) (sum_{d<=l} p^(d-1) X_d / d + sum_{s<d<=l} p^(d-1) X_s (d-s) / (s d)) + p^l ((X_l - X_s) / l + X_s / s), X_d
    the number of common items of the first d."""
    frbo: Values
    """Finite RBO: (1-p) / (1-p^n) sum_{d<=n} p^(d-1) A_d, n the length of the shorter list."""
    jaccard: Values
    """Common items over all items of the two lists' first k."""


class Pair:
    """Holds two sets of rank lists X and Y [M, D] of the same instances; what a list similarity gets."""

    def __init__(self, X: Lists, Y: Lists):
        self.X, self.Y = X, Y

    @cached_property
    def overlaps(self) -> Overlaps:
        """Returns the overlaps at p = 0.9 and k = 10, computed once for all similarities."""
        return overlaps(self.X, self.Y)


def overlaps(X: Lists, Y: Lists, p: float = P, k: int = HEAD) -> Overlaps:
    """Compares two sets of lists [M, D] in one pass.

    Args:
        X: Lists, best item first.
        Y: Lists of the same instances.
        p: Persistence of the rank-biased overlaps, over 0 and below 1.
        k: Depth of the Jaccard similarity, in items.

    Raises:
        ValueError: The sets are not of the same instances, or p is out of bounds.

    >>> [values.round(3).tolist() for values in overlaps(np.array([[1, 2, 3]]), np.array([[1, 3, 2]]), k=2)]
    [[0.955], [0.834], [0.333]]
    """
    if X.ndim != 2 or Y.ndim != 2 or len(X) != len(Y):
        raise ValueError(f"lists of shapes {X.shape} and {Y.shape}: both must be [M, D], of the same M instances")
    if not 0 < p < 1:
        raise ValueError(f"p is {p}: it must be over 0 and below 1")
    if X.shape[1] != Y.shape[1]:
        depth = max(X.shape[1], Y.shape[1])
        X, Y = (np.pad(of, ((0, 0), (0, depth - of.shape[1])), constant_values=-1) for of in (X, Y))
    rank_biased = _RankBiased(X, p)
    parts = [(*rank_biased(*part), _jaccard(*part, k)) for part in _since(X, Y)]
    return Overlaps(*(np.concatenate(column) for column in zip(*parts, strict=True)) if parts else [np.zeros(0)] * 3)


def _lengths(X: Lists) -> Lists:
    """Returns how many items each list has [M]."""
    M, D = X.shape
    if D and (X[:, -1] >= 0).all():
        return np.full(M, D)
    return np.asarray(np.count_nonzero(X >= 0, axis=1))


def _since(X: Lists, Y: Lists) -> Iterator[tuple[Depths, Lists, Lists]]:
    """Yields chunks of rows: the depth index since which both lists hold each item of X, and the chunk's X and Y.

    The index is D or more for an item that Y does not hold: for X = [5, 7, 9] and Y = [7, 5, 8] it is [1, 1, 3 or
    more].

    A table [rows, vocabulary] holds where each item stands in Y, counted from a base that falls by D from chunk to
    chunk: what earlier chunks have left lies at base + D or above, as good as absent. Chunks keep the table in the
    processor's cache.
    """
    import torch  # here, since names and labels of metrics are asked for where nothing is computed

    M, D = X.shape
    short = bool((X[:, -1:] < 0).any() or (Y[:, -1:] < 0).any())  # then column 0 is for -1
    vocabulary = int(max(X.max(initial=-1), Y.max(initial=-1))) + 1 + short
    rows = min(int(np.clip(2**20 // (vocabulary + D), 64, ROWS)), max(M, 1))
    narrow = 2 * D < 2**15
    place: Depths = np.arange(D, dtype=np.int16 if narrow else np.int32)
    top = 2**15 - 1 if narrow else 2**31 - 1
    # Written anew by every chunk: memory fresh from the system costs more than the work done in it.
    places = torch.from_numpy(np.tile(place, (rows, 1)))
    table, since = torch.full((rows, vocabulary), top, dtype=places.dtype), torch.empty_like(places)
    base = top
    for start in range(0, M, rows):
        x, y = (torch.from_numpy(np.array(codes[start : start + rows], np.int64) + short) for codes in (X, Y))
        count = len(x)
        if base < 2 * D:
            table[:], base = top, top
        base -= D
        table[:count].scatter_(1, y, places[:count] + base)
        if short:
            table[:, 0] = top
        found = torch.gather(table[:count], 1, x, out=since[:count]).numpy()
        np.subtract(found, base, out=found)
        yield np.maximum(found, place, out=found), X[start : start + rows], Y[start : start + rows]


def _weights(depth: int, p: float) -> Values:
    """Returns what an item adds to finite RBO, times 1 - p^n, by the depth index since which both lists hold it.

    Its shape is [depth + 1]; the weight is the sum of (1-p) p^(d-1) / d over the depths behind it.

    Cut to 52 binary places: sums of them, none over 1, are exact in any order. So equal lists give exactly 1, and X, Y
    the same as Y, X.
    """
    d = np.arange(1, depth + 1)
    behind = np.cumsum(((1 - p) * p ** (d - 1.0) / d)[::-1])[::-1]
    weights: Values = np.floor(np.r_[behind, 0.0] * 2.0**52) / 2.0**52
    return weights


class _RankBiased:
    """Computes RBO_ext and finite RBO of chunks from what is missing from full agreement.

    Holds what the chunks share.
    """

    def __init__(self, X: Lists, p: float):
        D = X.shape[1]
        n = np.arange(D + 1)
        length = np.maximum(n, 1)
        self.p, self.weight = p, _weights(D, p)
        # By the shorter list's length n: what full agreement adds up to, the largest sum, and the weight of an item
        # behind depth n.
        self.full, self.most, self.beyond = (
            np.cumsum(self.weight) - self.weight - n * self.weight,
            1 - p**length,
            p**n / length,
        )
        self.each = np.ones(D)
        self.index, self.found = np.empty((min(len(X), ROWS), D), np.int64), np.empty((min(len(X), ROWS), D))

    def __call__(self, since: Depths, x: Lists, y: Lists) -> tuple[Values, Values]:
        x_length, y_length = _lengths(x), _lengths(y)
        n = np.minimum(x_length, y_length)
        index, found = self.index[: len(x)], self.found[: len(x)]
        np.copyto(index, since)
        self.weight.take(index, out=found, mode="clip")
        if n.min() < since.shape[1]:  # short lists: the depths behind the shorter of the two do not count
            found = np.maximum(found - self.weight[n][:, None], 0)
        lost = self.full[n] - found @ self.each
        common = _count(since < n.astype(since.dtype)[:, None])
        # Without a common item: exactly 0, but for two empty lists.
        apart = (x_length + y_length == 0).astype(np.float64)
        extended = np.where(common > 0, 1 - (lost + self.beyond[n] * (n - common)), apart)
        finite = np.where(common > 0, 1 - lost / self.most[n], apart)
        if len(uneven := np.flatnonzero(x_length != y_length)):
            longer = np.maximum(x_length, y_length)
            extended[uneven] = self._uneven(since[uneven], n[uneven], longer[uneven])
        return extended, finite

    def _uneven(self, since: Depths, s: Lists, l: Lists) -> Values:
        """Returns RBO_ext [R] of lists of s and of l > s items."""
        p, weight = self.p, self.weight
        common, all_common = ((since < length[:, None]).sum(1) for length in (s, l))
        added = np.maximum(weight.take(since, mode="clip") - weight[l][:, None], 0) @ self.each
        share = common / np.maximum(s, 1)
        added += share * (p**s - p**l - s * (weight[s] - weight[l])) + ((all_common - common) / l + share) * p**l
        return np.minimum(added, 1.0)


def _count(there: npt.NDArray[np.bool_]) -> Values:
    """Returns the number of true values of each row by a matrix product, several times as fast as counting."""
    return (there.astype(np.float32) @ np.ones(there.shape[1], np.float32)).astype(np.float64)


def _jaccard(since: Depths, x: Lists, y: Lists, k: int) -> Values:
    """Returns common items over all items of the two lists' first k."""
    k = min(k, since.shape[1])
    both = _count(since[:, :k] < k)
    either = _lengths(x[:, :k]) + _lengths(y[:, :k]) - both
    return np.where(either > 0, both / np.maximum(either, 1), 1.0)
