"""New items of replacements and insertions."""

import numpy as np
import pytest

from finest.errors import DataError
from finest.perturb import kinds


def test_the_single_least_popular_item_is_replaced_by_the_single_second_least():
    counts = np.array([0, 5, 1, 2, 9])
    assert kinds.least_popular(counts, np.array([2, 2, 1, 3]), np.random.default_rng(0)).tolist() == [3, 3, 2, 2]


def test_among_several_least_popular_items_an_edit_never_gets_its_old_one():
    counts = np.array([0, 1, 1, 7, 1])
    old = np.tile([1, 2, 4], 200)
    new = kinds.least_popular(counts, old, np.random.default_rng(0))
    assert set(new.tolist()) == {1, 2, 4} and not (new == old).any()


def test_a_catalogue_of_one_item_has_nothing_to_put_in_its_place():
    with pytest.raises(DataError, match="single item"):
        kinds.least_popular(np.array([0, 3]), np.array([1]), np.random.default_rng(0))
    with pytest.raises(DataError, match="single item"):
        kinds.random(np.zeros(2, np.int64), np.array([1]), np.random.default_rng(0))
