"""Similarity of rank lists, a value an instance.

X and Y are two sets of rank lists [M, D], best item first, as codes of one vocabulary, -1 behind a short list; a list holds no item
twice. A_d is the share of items that the first d of both have in common. Rank-biased overlap: Webber, Moffat and Zobel, A similarity
measure for indefinite rankings (TOIS 2010). Two empty lists are equal; an empty list has nothing in common with any other.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from torch import Tensor

P = 0.9
"""Persistence: how much an overlap at depth d + 1 weighs against one at d. The first 10 places carry 86% of the weight."""
HEAD = 10
"""Items that a user sees at once; the k of `jaccard_at_10`."""

Lists = npt.NDArray[np.int64]
Values = npt.NDArray[np.float64]


def similarities(X: "Lists | Tensor", Y: "Lists | Tensor", device: str | None = None) -> dict[str, Values]:
    """All list similarities in one pass: `rbo`, `frbo`, `jaccard_at_10`, `top1_agreement`, each [M].

    Computed by torch where a `device` is given, or lists are tensors (on theirs); numpy, on the CPU, is the faster of the two.

    >>> {name: values.tolist() for name, values in similarities(np.array([[1, 2, 3]]), np.array([[1, 2, 3]])).items()}
    {'rbo': [1.0], 'frbo': [1.0], 'jaccard_at_10': [1.0], 'top1_agreement': [1.0]}
    """
    if device is not None or not (isinstance(X, np.ndarray) and isinstance(Y, np.ndarray)):
        import torch  # judging lists needs none

        from finest.metrics import device as on_device

        x, y = (torch.as_tensor(of, device=device) for of in (X, Y))
        return {name: values.cpu().numpy() for name, values in on_device.similarities(x, y, P, HEAD).items()}
    parts = [(*_rank_biased(overlap, x, y, P), _jaccard(overlap, x, y, HEAD)) for overlap, x, y in _overlaps(X, Y)]
    values = [np.concatenate(column) for column in zip(*parts, strict=True)] if parts else [np.zeros(0)] * 3
    return dict(zip(("rbo", "frbo", "jaccard_at_10"), values, strict=True)) | {"top1_agreement": top1_agreement(X, Y)}


def rbo(X: Lists, Y: Lists, p: float = P) -> Values:
    """RBO_ext [M]: (1-p) sum_{d<=n} p^(d-1) A_d + p^n A_n, n the length of the shorter list. From 0 to 1.

    >>> rbo(np.array([[1, 2, 3], [1, 2, 3]]), np.array([[1, 3, 2], [7, 8, 9]])).round(3).tolist()
    [0.955, 0.0]
    """
    return np.concatenate([np.zeros(0)] + [_rank_biased(overlap, x, y, p)[0] for overlap, x, y in _overlaps(X, Y)])


def frbo(X: Lists, Y: Lists, p: float = P) -> Values:
    """Finite RBO [M]: (1-p) / (1-p^n) sum_{d<=n} p^(d-1) A_d, n the length of the shorter list. From 0 to 1.

    >>> frbo(np.array([[1, 2, 3], [1, 2, -1]]), np.array([[1, 3, 2], [1, 3, 2]])).round(3).tolist()
    [0.834, 0.763]
    """
    return np.concatenate([np.zeros(0)] + [_rank_biased(overlap, x, y, p)[1] for overlap, x, y in _overlaps(X, Y)])


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
        return 2 * p**n - p**full - (1 - p) / p * tails

    return np.concatenate([np.zeros(0)] + [residual(*part) for part in _overlaps(X, Y)])


def jaccard(X: Lists, Y: Lists, k: int = HEAD) -> Values:
    """Common items over all items of the two lists' first k [M]. From 0 to 1.

    >>> jaccard(np.array([[1, 2, 3]]), np.array([[3, 2, 4]]), k=3).tolist()
    [0.5]
    """
    return np.concatenate([np.zeros(0)] + [_jaccard(overlap, x, y, k) for overlap, x, y in _overlaps(X[:, :k], Y[:, :k])])


def top1_agreement(X: Lists, Y: Lists) -> Values:
    """1 where the best item is the same, else 0 [M].

    >>> top1_agreement(np.array([[1, 2], [1, 2]]), np.array([[1, 3], [2, 1]])).tolist()
    [1.0, 0.0]
    """
    return (X[:, 0] == Y[:, 0]).astype(np.float64)


def agreement(X: Lists, Y: Lists) -> Values:
    """A_d at every depth [M, D].

    >>> agreement(np.array([[1, 2, 3]]), np.array([[2, 1, 4]])).round(3).tolist()
    [[0.0, 1.0, 0.667]]
    """
    depth = np.arange(1, X.shape[1] + 1)
    return np.concatenate([np.zeros((0, X.shape[1]))] + [overlap / depth for overlap, _, _ in _overlaps(X, Y)])


def _lengths(X: Lists) -> Lists:
    return np.count_nonzero(X >= 0, axis=1)


def _overlaps(X: Lists, Y: Lists) -> Iterator[tuple[Lists, Lists, Lists]]:
    """Chunks of rows: how many items the first d of both lists share, for d = 1..D, with the chunk's X and Y.

    A table [rows, vocabulary] holds where each item stands in Y; an item at place i of X and j of Y counts from depth max(i, j) + 1.
    Chunks keep the table in the processor's cache.
    """
    M, D = X.shape
    vocabulary = int(max(X.max(initial=-1), Y.max(initial=-1))) + 2  # column 0 is for -1
    rows = int(np.clip(2**20 // (vocabulary + D), 64, 512))
    rows = min(rows, max(M, 1))
    place = np.arange(D, dtype=np.int16 if D < 2**15 else np.int32)
    absent = place.dtype.type(D)
    table = np.full((rows, vocabulary), absent)
    flat = table.reshape(-1)
    first = np.arange(rows)[:, None] * vocabulary + 1
    line = np.arange(rows)[:, None] * (D + 1)
    for start in range(0, M, rows):
        x, y = X[start : start + rows], Y[start : start + rows]
        count = len(x)
        stands = first[:count] + y
        flat[stands] = place
        table[:, 0] = absent
        since = np.maximum(flat[first[:count] + x], place)  # depth index from which the item is in both; D: never
        new = np.bincount((line[:count] + since).ravel(), minlength=count * (D + 1)).reshape(count, D + 1)[:, :D]
        yield np.cumsum(new, axis=1), x, y
        flat[stands] = absent


def _rank_biased(overlap: Lists, x: Lists, y: Lists, p: float) -> tuple[Values, Values]:
    """RBO_ext and finite RBO of a chunk. Sums what is missing from full agreement, so that equal lists give exactly 1."""
    depth = np.arange(1, overlap.shape[1] + 1)
    x_length, y_length = _lengths(x), _lengths(y)
    n = np.minimum(x_length, y_length)
    common = np.where(n > 0, overlap[np.arange(len(n)), n - 1], 0)
    missing = depth - overlap
    if n.min() < len(depth):
        missing = np.where(depth <= n[:, None], missing, 0)
    lost = np.einsum("md,d->m", missing, (1 - p) * p ** (depth - 1.0) / depth)
    weight = p**n
    length = np.maximum(n, 1)
    # Without a common item: exactly 0, but for two empty lists.
    apart = (x_length + y_length == 0).astype(np.float64)
    extended = np.where(common > 0, 1 - (lost + weight * (n - common) / length), apart)
    finite = np.where(common > 0, 1 - lost / (1 - p**length), apart)
    return extended, finite


def _jaccard(overlap: Lists, x: Lists, y: Lists, k: int) -> Values:
    k = min(k, overlap.shape[1])
    both = overlap[:, k - 1]
    either = np.minimum(_lengths(x), k) + np.minimum(_lengths(y), k) - both
    return np.where(either > 0, both / np.maximum(either, 1), 1.0)
