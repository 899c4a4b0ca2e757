"""Features of histories: what each is, by hand."""

import numpy as np
import pytest
from scipy import sparse

from finest.histories import Histories
from finest.memory.features import Memory
from finest.memory.registry import FEATURES
from finest.memory.seen import Seen
from finest.memory.tables import Counts

ITEMS = 5


@pytest.fixture
def counts() -> Counts:
    follows, alike = np.zeros((2, ITEMS + 1, ITEMS + 1), np.float32)
    follows[1, [2, 3]] = 0.4, 0.2
    follows[2, 3] = 0.6
    alike[2, 5] = 0.5
    popularity = np.array([0, 0.3, 0.3, 0.2, 0.1, 0.1])
    return Counts(popularity, sparse.csr_array(follows), sparse.csr_array(alike))


def histories(*items: list[int]) -> Histories:
    sizes = [len(history) for history in items]
    return Histories(np.array([code for history in items for code in history], np.int64), np.r_[0, np.cumsum(sizes)])


def table(counts: Counts, name: str, given: Histories) -> np.ndarray:
    """A feature of all pairs."""
    pairs, values = FEATURES[name].values(Seen(counts, given))
    dense = np.zeros((len(given), ITEMS + 1))
    assert len(np.unique(pairs.history * 100 + pairs.item)) == len(values)
    dense[pairs.history, pairs.item] = values
    return dense


def test_neighbours_of_the_last_items_count_by_how_near_they_are(counts: Counts) -> None:
    given = histories([4], [1, 2])
    share = (2 / 3) * 0.6 + (1 / 3) * 0.2  # weights 1 and 1/2, made to sum to 1
    assert np.isclose(table(counts, "follows", given)[1, 3], np.log1p(share / 0.02))
    assert np.isclose(table(counts, "follows_linear", given)[1, 2], np.log1p((1 / 3) * 0.4 / 1e-4))
    cosine = 0.5 / 1.8
    assert np.isclose(table(counts, "alike_linear", given)[1, 5], 10 * cosine)
    assert np.isclose(table(counts, "alike", given)[1, 5], np.log1p(cosine / 0.02))
    assert not table(counts, "follows", given)[0].any()


def test_items_before_the_last_ten_have_no_say(counts: Counts) -> None:
    assert not table(counts, "follows", histories([1, *[4] * 10])).any()
    assert table(counts, "follows", histories([1, *[4] * 9])).any()


def test_a_history_tells_of_its_own_items(counts: Counts) -> None:
    given = histories([2, 4, 2, 5, 4], [3])
    assert table(counts, "seen", given).tolist() == [[0, 0, 1, 0, 1, 1], [0, 0, 0, 1, 0, 0]]
    assert np.allclose(table(counts, "times", given)[0], np.log([1, 1, 2, 1, 2, 1]))
    assert np.allclose(table(counts, "recency", given)[0], [0, 0, -np.log(3), 0, 0, -np.log(2)])
    assert np.allclose(table(counts, "own_follows", given)[0], [0, 0, np.log(2), 0, 0, 0])  # after 4 came 2, once
    habit = 0.5 * np.log(3 / 4), 0.5 * np.log(1 / 2)  # 2 of 5 repeat, none of 1
    assert np.allclose(table(counts, "seen_by_habit", given)[:, [2, 3]], [[habit[0], 0], [0, habit[1]]])
    assert np.isclose(table(counts, "times_by_habit", given)[0, 2], np.log(2) * habit[0])


def test_a_successor_in_another_history_is_none_in_this_one(counts: Counts) -> None:
    assert not table(counts, "own_follows", histories([1, 2], [3], [2])).any()


@pytest.mark.parametrize("name", list(FEATURES))
def test_a_history_has_the_same_features_whoever_stands_beside_it(counts: Counts, name: str) -> None:
    rng = np.random.default_rng(0)
    many = [rng.integers(1, ITEMS + 1, rng.integers(1, 20)).tolist() for _ in range(30)]
    whole = table(counts, name, histories(*many))
    for row in (0, 7, 29):
        assert np.array_equal(table(counts, name, histories(many[row]))[0], whole[row])


def test_a_memory_is_the_weighted_sum_and_leaves_out_what_has_no_weight(counts: Counts) -> None:
    weights = {"popularity": 0.5, "follows": 2.0, "follows_linear": -1.0, "seen": 3.0, "alike": 0.0}
    memory, given = Memory(counts, weights), histories([4], [1, 2])
    scores: np.ndarray = np.tile(memory.everywhere, (2, 1))
    parts = memory.sparse(given)
    assert len(parts) == 2  # a part for every pattern, not for every feature
    for pairs, values in parts:
        scores[pairs.history, pairs.item - 1] += values
    expected = sum(weight * table(counts, name, given) for name, weight in weights.items() if name != "popularity")
    assert np.allclose(scores, 0.5 * np.log(counts.popularity[1:]) + np.asarray(expected)[:, 1:], atol=1e-5)
