"""Checks of accuracy metrics and list similarities, for the tests of who writes one."""

from dataclasses import replace

import numpy as np

from finest.metrics.overlaps import Lists, Pair, Values
from finest.metrics.registry import METRICS, SIMILARITIES, Metric, Ranked, Similarity

INSTANCES, DEPTH, ITEMS = 40, 20, 50
"""Instances, items of a list, and items of the catalogue."""
TOLERANCE = 1e-9
"""Largest difference between values that must be equal."""


def check_metric(metric: Metric | str, low: float = 0.0, high: float = 1.0) -> None:
    """Checks that an accuracy metric does what every one must.

    It gives a finite value an instance, between its bounds, which depends on this instance alone: not on the others,
    nor on their order; targets that are tied or cannot be ranked are no exception. Ranking every target first is never
    worse than ranking it last, or not at all.

    >>> check_metric("mrr")

    Args:
        metric: The metric, or its name where it is registered.
        low: Its smallest value.
        high: Its largest value.

    Raises:
        AssertionError: It does not; the text says what.
    """
    found = METRICS[metric] if isinstance(metric, str) else metric
    ranked, name = _ranked(), found.label
    values = found.values(ranked)
    _check_values(name, values, low, high)
    order = np.random.default_rng(1).permutation(INSTANCES)
    moved = found.values(Ranked(ranked.target_rank[order], ranked.items[order], ranked.catalogue))
    assert np.allclose(moved, values[order], atol=TOLERANCE), f"{name}: values depend on the order of the instances"
    half = found.values(Ranked(ranked.target_rank[::2], ranked.items[::2], ranked.catalogue))
    assert np.allclose(half, values[::2], atol=TOLERANCE), f"{name}: an instance's value depends on the others"
    first, last, unranked = (
        found.values(replace(ranked, target_rank=np.full(INSTANCES, rank))) for rank in (1.0, float(ITEMS), np.nan)
    )
    _check_values(name, unranked, low, high)
    sign = 1 if found.larger_is_better else -1
    for worse, words in ((last, "last"), (unranked, "not at all")):
        better = sign * first >= sign * worse - TOLERANCE
        assert better.all(), f"{name}: a target that is ranked first counts for less than one that is ranked {words}"


def check_similarity(similarity: Similarity | str) -> None:
    """Checks that a list similarity does what every one must.

    It gives a value from 0 to 1 an instance: 1 for equal lists, 0 for lists without a common item, the same if the two
    swap; it depends on which items are the same, not on their codes, and on this instance alone. Short and empty lists
    are no accident.

    >>> check_similarity("rbo")

    Args:
        similarity: The similarity, or its name where it is registered.

    Raises:
        AssertionError: It does not; the text says what.
    """
    found = SIMILARITIES[similarity] if isinstance(similarity, str) else similarity
    X, Y, name = _lists(0), _lists(1), found.label
    values = found.values(Pair(X, Y))
    _check_values(name, values, 0, 1)

    def same(other: Values, text: str) -> None:
        assert np.allclose(other, values, atol=TOLERANCE), f"{name}: {text}"

    same(found.values(Pair(Y, X)), "values change if the two lists swap")
    codes = np.r_[np.random.default_rng(2).permutation(ITEMS), -1]  # the last one is for -1
    same(found.values(Pair(codes[X], codes[Y])), "values depend on the codes of the items")
    alone = [found.values(Pair(X[[row]], Y[[row]]))[0] for row in range(INSTANCES)]
    same(np.array(alone), "an instance's value depends on the others")
    equal = found.values(Pair(X, X.copy()))
    assert np.allclose(equal, 1, atol=TOLERANCE), f"{name}: equal lists do not have 1"
    full = X[(X >= 0).all(axis=1)]
    apart = found.values(Pair(full, full + ITEMS))
    assert np.allclose(apart, 0, atol=TOLERANCE), f"{name}: lists without a common item do not have 0"


def _check_values(name: str, values: Values, low: float, high: float) -> None:
    assert values.shape == (INSTANCES,), f"{name}: shape {values.shape} of the values is not one an instance"
    assert np.isfinite(values).all(), f"{name}: a value is not finite"
    assert low - TOLERANCE <= values.min() and values.max() <= high + TOLERANCE, f"{name}: not in [{low}, {high}]"


def _ranked() -> Ranked:
    """Returns made-up lists with tied, low and unrankable targets."""
    rank = np.random.default_rng(0).integers(2, 2 * ITEMS, INSTANCES) / 2
    rank[::7], rank[1::7] = np.nan, 1.0
    return Ranked(rank, _lists(0), ITEMS)


def _lists(seed: int) -> Lists:
    """Returns made-up lists, some of them short, one empty."""
    random = np.random.default_rng(seed)
    lists = np.stack([random.permutation(ITEMS)[:DEPTH] for _ in range(INSTANCES)])
    lists[3, 5:], lists[4, 1:], lists[5 + seed] = -1, -1, -1
    return lists
