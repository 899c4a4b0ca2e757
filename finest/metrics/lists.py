"""Similarity of rank lists, a value an instance.

X and Y are two sets of rank lists [M, D], best item first, as codes of one vocabulary, -1 behind a short list; a list holds no item
twice. A_d is the share of items that the first d of both have in common. Rank-biased overlap: Webber, Moffat and Zobel, A similarity
measure for indefinite rankings (TOIS 2010). Two empty lists are equal; an empty list has nothing in common with any other.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

P = 0.9
"""Persistence: how much an overlap at depth d + 1 weighs against one at d. The first 10 places carry 86% of the weight."""
HEAD = 10
"""Items that a user sees at once; the k of `jaccard_at_10`."""

Lists = npt.NDArray[np.int64]
Values = npt.NDArray[np.float64]
Depths = npt.NDArray[np.signedinteger]

ROWS = 512
"""Most rows of a chunk."""


def similarities(X: Lists | Tensor, Y: Lists | Tensor, device: str | None = None) -> dict[str, Values]:
    """All list similarities in one pass: `rbo`, `frbo`, `jaccard_at_10`, `top1_agreement`, each [M].

    Computed by torch where a `device` is given, or lists are tensors (on theirs); numpy, on the CPU, is the faster of the two.

    >>> {name: values.tolist() for name, values in similarities(np.array([[1, 2, 3]]), np.array([[1, 2, 3]])).items()}
    {'rbo': [1.0], 'frbo': [1.0], 'jaccard_at_10': [1.0], 'top1_agreement': [1.0]}
    """
    if device is not None or not (isinstance(X, np.ndarray) and isinstance(Y, np.ndarray)):
        from finest.metrics import device as on_device

        x, y = (torch.as_tensor(of, device=device) for of in (X, Y))
        return {name: values.cpu().numpy() for name, values in on_device.similarities(x, y, P, HEAD).items()}
    rank_biased = _RankBiased(X, P)
    parts = [(*rank_biased(*part), _jaccard(*part, HEAD)) for part in _since(X, Y)]
    values = [np.concatenate(column) for column in zip(*parts, strict=True)] if parts else [np.zeros(0)] * 3
    return dict(zip(("rbo", "frbo", "jaccard_at_10"), values, strict=True)) | {"top1_agreement": top1_agreement(X, Y)}


def rbo(X: Lists, Y: Lists, p: float = P) -> Values:
    """RBO_ext [M]: (1-p) sum_{d<=n} p^(d-1) A_d + p^n A_n, n the length of the shorter list. From 0 to 1.

    >>> rbo(np.array([[1, 2, 3], [1, 2, 3]]), np.array([[1, 3, 2], [7, 8, 9]])).round(3).tolist()
    [0.955, 0.0]
    """
    rank_biased = _RankBiased(X, p)
    return np.concatenate([np.zeros(0)] + [rank_biased(*part)[0] for part in _since(X, Y)])


def frbo(X: Lists, Y: Lists, p: float = P) -> Values:
    """Finite RBO [M]: (1-p) / (1-p^n) sum_{d<=n} p^(d-1) A_d, n the length of the shorter list. From 0 to 1.

    >>> frbo(np.array([[1, 2, 3], [1, 2, -1]]), np.array([[1, 3, 2], [1, 3, 2]])).round(3).tolist()
    [0.834, 0.763]
    """
    rank_biased = _RankBiased(X, p)
    return np.concatenate([np.zeros(0)] + [rank_biased(*part)[1] for part in _since(X, Y)])


def rbo_residual(X: Lists, Y: Lists, p: float = P) -> Values:
    """Width [M] of the interval in which RBO lies, whatever stands behind the lists' common length n (Webber et al., equation 30).

    >>> rbo_residual(np.array([[1, 2, 3]]), np.array([[1, 3, 2]])).round(3).tolist()
    [0.477]
    """
    depth = np.arange(1, 2 * X.shape[1] + 1)
    harmonic = np.r_[0, np.cumsum(p**depth / depth)]  # sum of p^d / d over d <= index

    def residual(overlap: Lists, x: Lists, y: Lists) -> Values:
        n = np.minimum(_lengths(x), _lengths(y))
        common = np.where(n > 0, overlap[np.arange(len(n)), n - 1], 0)
        full = 2 * n - common  # depth at which the lists can agree fully, at the earliest
        tails = 2 * n * (harmonic[full] - harmonic[n]) + common * (-np.log1p(-p) - harmonic[full])
        width: Values = 2 * p**n - p**full - (1 - p) / p * tails
        return width

    return np.concatenate([np.zeros(0)] + [residual(*part) for part in _overlaps(X, Y)])


def jaccard(X: Lists, Y: Lists, k: int = HEAD) -> Values:
    """Common items over all items of the two lists' first k [M]. From 0 to 1.

    >>> jaccard(np.array([[1, 2, 3]]), np.array([[3, 2, 4]]), k=3).tolist()
    [0.5]
    """
    return np.concatenate([np.zeros(0)] + [_jaccard(*part, k) for part in _since(X[:, :k], Y[:, :k])])


def top1_agreement(X: Lists, Y: Lists) -> Values:
    """1 where the best item is the same, else 0 [M].

    >>> top1_agreement(np.array([[1, 2], [1, 2]]), np.array([[1, 3], [2, 1]])).tolist()
    [1.0, 0.0]
    """
    return np.asarray(X[:, 0] == Y[:, 0], dtype=np.float64)


def agreement(X: Lists, Y: Lists) -> Values:
    """A_d at every depth [M, D].

    >>> agreement(np.array([[1, 2, 3]]), np.array([[2, 1, 4]])).round(3).tolist()
    [[0.0, 1.0, 0.667]]
    """
    depth = np.arange(1, X.shape[1] + 1)
    return np.concatenate([np.zeros((0, X.shape[1]))] + [overlap / depth for overlap, _, _ in _overlaps(X, Y)])


def _lengths(X: Lists) -> Lists:
    M, D = X.shape
    if D and (X[:, -1] >= 0).all():
        return np.full(M, D)
    return np.asarray(np.count_nonzero(X >= 0, axis=1))


def _since(X: Lists, Y: Lists) -> Iterator[tuple[Depths, Lists, Lists]]:
    """Chunks of rows: the depth index since which both lists hold each item of X, D or more for never, with the chunk's X and Y.

    A table [rows, vocabulary] holds where each item stands in Y, counted from a base that falls by D from chunk to chunk: what earlier
    chunks have left lies at base + D or above, as good as absent. Chunks keep the table in the processor's cache.
    """
    M, D = X.shape
    short = bool((X[:, -1:] < 0).any() or (Y[:, -1:] < 0).any())  # then column 0 is for -1
    X_codes, Y_codes = (
        torch.from_numpy(np.require(codes + 1 if short else codes, np.int64, ["C", "W"])) for codes in (X, Y)
    )
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
        x, y = X_codes[start : start + rows], Y_codes[start : start + rows]
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


def _overlaps(X: Lists, Y: Lists) -> Iterator[tuple[Lists, Lists, Lists]]:
    """Chunks of rows: how many items the first d of both lists share, for d = 1..D, with the chunk's X and Y."""
    D = X.shape[1]
    for since, x, y in _since(X, Y):
        line = np.arange(len(x))[:, None] * (D + 1)
        new = np.bincount((line + np.minimum(since, D)).ravel(), minlength=len(x) * (D + 1)).reshape(len(x), D + 1)[
            :, :D
        ]
        yield np.cumsum(new, axis=1), x, y


def _weights(depth: int, p: float) -> Values:
    """What an item adds to finite RBO, times 1 - p^n, by the depth index since which both lists hold it [depth + 1]: a sum over the
    depths behind it of (1-p) p^(d-1) / d.

    Cut to 52 binary places: sums of them, none over 1, are exact in any order. So equal lists give exactly 1, and X, Y the same as Y, X.
    """
    d = np.arange(1, depth + 1)
    behind = np.cumsum(((1 - p) * p ** (d - 1.0) / d)[::-1])[::-1]
    weights: Values = np.floor(np.r_[behind, 0.0] * 2.0**52) / 2.0**52
    return weights


class _RankBiased:
    """RBO_ext and finite RBO of a chunk, from what is missing from full agreement. Holds what the chunks share."""

    def __init__(self, X: Lists, p: float):
        D = X.shape[1]
        n = np.arange(D + 1)
        length = np.maximum(n, 1)
        self.weight = _weights(D, p)
        # By the shorter list's length n: what full agreement adds up to, the largest sum, and the weight of an item behind depth n.
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
        return extended, finite


def _count(there: npt.NDArray[np.bool_]) -> Values:
    """True values of each row, as a matrix product, which is several times as fast as counting."""
    return (there.astype(np.float32) @ np.ones(there.shape[1], np.float32)).astype(np.float64)


def _jaccard(since: Depths, x: Lists, y: Lists, k: int) -> Values:
    k = min(k, since.shape[1])
    both = _count(since[:, :k] < k)
    either = _lengths(x[:, :k]) + _lengths(y[:, :k]) - both
    return np.where(either > 0, both / np.maximum(either, 1), 1.0)
