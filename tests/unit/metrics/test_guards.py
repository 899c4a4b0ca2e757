from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finest.metrics.guards import coverage_at, last_of_user, overlap_between_users, plasticity, popularity_bias
from finest.metrics.similarity import rbo


@given(st.integers(2, 9), st.integers(0, 2**32))
@settings(max_examples=30, deadline=None)
def test_overlap_between_users_equals_the_mean_over_all_pairs(users: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    lists = np.stack([generator.permutation(25)[:14] for _ in range(users)])
    lists[0, 6:] = -1
    pairs = [len((set(lists[a, :10]) & set(lists[b, :10])) - {-1}) / 10 for a, b in combinations(range(users), 2)]
    assert overlap_between_users(lists).mean() == pytest.approx(np.mean(pairs))


def test_one_list_for_everybody_overlaps_fully_and_covers_only_itself() -> None:
    lists = np.tile(np.arange(10), (4, 1))
    assert overlap_between_users(lists).tolist() == [1.0] * 4
    assert coverage_at(lists, catalogue=100) == 0.1


def test_short_lists_cover_no_item_by_their_padding() -> None:
    assert coverage_at(np.array([[3, -1], [-1, -1]]), catalogue=4) == 0.25


def test_the_last_instance_of_a_user_goes_by_position_not_by_row() -> None:
    assert last_of_user(np.array(["b", "a", "b", "b"], dtype=object), np.array([9, 1, 7, 8])).tolist() == [1, 0]


def test_popularity_bias_is_half_for_the_whole_catalogue_and_more_for_its_top() -> None:
    counts = np.array([0, 50, 20, 20, 3, 1])
    assert popularity_bias(np.array([[0, 1, 2, 3, 4, 5]]), counts)[0] == pytest.approx(0.5)
    top, bottom = popularity_bias(np.array([[1, 2], [4, 5]]), counts)
    assert top > 0.5 > bottom


def test_popularity_bias_leaves_out_what_is_no_item_of_the_catalogue() -> None:
    counts = np.array([-1, 4, 2, -1])
    assert (
        popularity_bias(np.array([[1, 3, -1]]), counts).tolist()
        == popularity_bias(np.array([[1, -1, -1]]), counts).tolist()
        == [0.75]
    )


def test_plasticity_compares_each_instance_with_the_users_next_one_whatever_the_order_of_rows() -> None:
    user = np.array(["b", "a", "b", "a", "c", "b"], dtype=object)
    position = np.array([6, 3, 4, 2, 9, 5])
    lists = np.random.default_rng(0).permuted(np.tile(np.arange(8), (6, 1)), axis=1)
    values, later = plasticity(user, position, lists)
    assert later.tolist() == [1, 5, 0]  # a at 3, b at 5, b at 6; c has one instance
    assert values.tolist() == (1 - rbo(lists[[3, 2, 5]], lists[[1, 5, 0]])).tolist()


def test_frozen_lists_have_no_plasticity() -> None:
    values, _ = plasticity(np.zeros(5), np.arange(5), np.tile(np.arange(10), (5, 1)))
    assert values.tolist() == [0.0] * 4
