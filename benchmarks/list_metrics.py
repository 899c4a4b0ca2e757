"""List metrics against the `rbo` package: `python -m benchmarks.bench --only list_metrics`, 2 minutes.

Both run in one thread on as many pairs of rankings as ml-100k has instances. The pairs are made up: each is a ranking
and the same with noise, like a model's and its retrained copy's. Both sides start from the same arrays. The package
gets Python lists, with which it is nearly twice as fast as with arrays; the conversion is part of its time.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import rbo as package

from benchmarks.average_overlap import average_overlap_full
from benchmarks.row import Row, alternating, measured, row, spread
from benchmarks.validation import CPU
from finest.metrics.overlaps import Lists
from finest.metrics.similarity import rbo, similarities
from finest.training.device import prepare

INSTANCES, ITEMS, DEPTH = 10_439, 1_682, 100
NOISE = 0.05
REPEATS = 5
P = 0.9


def rows() -> list[Row]:
    """Measures the rows, after a check that both sides agree."""
    prepare(CPU)
    X, Y = pairs()
    X_top, Y_top = np.ascontiguousarray(X[:, :DEPTH]), np.ascontiguousarray(Y[:, :DEPTH])
    similar = rbo(X_top, Y_top)
    sampled = [
        package.RankingSimilarity(x, y).rbo_ext(p=P)
        for x, y in zip(X_top[:20].tolist(), Y_top[:20].tolist(), strict=True)
    ]
    np.testing.assert_allclose(similar[:20], sampled, atol=1e-9)
    overlap = average_overlap_full(X[:3], Y[:3])
    np.testing.assert_allclose(
        overlap, [package.RankingSimilarity(x, y).rbo() for x, y in zip(X[:3], Y[:3], strict=True)], atol=1e-9
    )

    def of_package(X: Lists, Y: Lists, value: Callable[[package.RankingSimilarity], float]) -> None:
        for x, y in zip(X, Y, strict=True):
            value(package.RankingSimilarity(x.tolist(), y.tolist()))

    ours_top, peer_top = alternating(
        lambda: rbo(X_top, Y_top), lambda: of_package(X_top, Y_top, lambda pair: pair.rbo_ext(p=P)), REPEATS
    )
    all_four = [measured(lambda: similarities(X_top, Y_top)) for _ in range(REPEATS)]
    ours_full, peer_full = alternating(
        lambda: average_overlap_full(X, Y), lambda: of_package(X, Y, lambda pair: pair.rbo()), REPEATS
    )
    note: dict[str, Any] = {"pairs": INSTANCES, "mean rbo": float(similar.mean())}
    return [
        row(
            "rbo at depth 100 : `rbo` package",
            ours_top,
            peer_top,
            ">= 100",
            **note,
            four_metrics_in_one_pass=spread(all_four),
        ),
        row(
            "full-list average overlap, 1,682 items : `rbo` package, sorting not counted",
            ours_full,
            peer_full,
            ">= 100",
            **note,
        ),
    ]


def pairs() -> tuple[Lists, Lists]:
    """Makes up two rankings of the catalogue for each instance, as item codes [M, I]."""
    random = np.random.default_rng(0)
    scores = random.standard_normal((INSTANCES, ITEMS), np.float32)
    moved = scores + np.float32(NOISE) * random.standard_normal((INSTANCES, ITEMS), np.float32)
    return np.argsort(-scores, axis=1) + 1, np.argsort(-moved, axis=1) + 1
