"""New items: what a replacement or an insertion puts in."""

import numpy as np

from finest.data.dataset import Ints
from finest.errors import DataError


def random(catalogue: int, old: Ints, generator: np.random.Generator) -> Ints:
    """Codes [E], uniform over the catalogue's codes 1..`catalogue` but for the `old` item of the same edit [E].

    >>> random(3, np.array([2, 2, 2, 2]), np.random.default_rng(0)).tolist()
    [3, 3, 3, 1]
    """
    return _among(np.arange(1, catalogue + 1), old, generator)


def least_popular(counts: Ints, old: Ints, generator: np.random.Generator) -> Ints:
    """Codes [E] of the items with the fewest training interactions, drawn anew an edit where several have as few; never the `old` item [E].

    `counts` [I + 1] by code, 0 at the padding's.

    >>> least_popular(np.array([0, 5, 1, 2]), np.array([1, 2]), np.random.default_rng(0)).tolist()
    [2, 3]
    """
    code = np.arange(1, len(counts))
    fewest = code[counts[1:] == counts[1:].min()]
    if len(fewest) > 1:
        return _among(fewest, old, generator)
    rest = np.setdiff1d(code, fewest)
    second = rest[counts[rest] == counts[rest].min(initial=np.iinfo(np.int64).max)]
    return np.where(old == fewest[0], _among(second, np.full_like(old, fewest[0]), generator), fewest[0])


def _among(pool: Ints, old: Ints, generator: np.random.Generator) -> Ints:
    """One of the sorted `pool` an edit, uniform over those that are not its old item."""
    place = np.searchsorted(pool, old)
    inside = (
        (place < len(pool)) & (pool[np.minimum(place, len(pool) - 1)] == old) if len(pool) else np.zeros(len(old), bool)
    )
    choices = len(pool) - inside
    if len(old) and choices.min() < 1:
        raise DataError("the catalogue has a single item: nothing can take its place; use more data or deletions alone")
    draw = generator.integers(0, choices)
    return pool[draw + (inside & (draw >= place))]
