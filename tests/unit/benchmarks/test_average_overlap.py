import numpy as np
import pytest
from rbo import RankingSimilarity

from benchmarks.average_overlap import average_overlap_full


def test_average_overlap_over_a_whole_catalogue_is_the_rbo_packages_default() -> None:
    generator = np.random.default_rng(0)
    X, Y = (np.stack([generator.permutation(60) for _ in range(5)]) for _ in range(2))
    expected = [RankingSimilarity(list(x), list(y)).rbo() for x, y in zip(X, Y, strict=True)]
    assert average_overlap_full(X, Y) == pytest.approx(expected, abs=1e-12)
