import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finest.metrics.accuracy import ndcg_at, recall_at, reciprocal_rank
from tests.unit.gate.made_up_run import mean_rank


@given(st.lists(st.integers(0, 4), min_size=1, max_size=12), st.data())
@settings(max_examples=50, deadline=None)
def test_the_rank_is_the_mean_over_both_extreme_orders_of_the_ties(scores: list[int], data: st.DataObject) -> None:
    target = data.draw(st.integers(0, len(scores) - 1))
    best = 1 + sum(score > scores[target] for score in scores)
    worst = sum(score >= scores[target] for score in scores)
    assert mean_rank(np.array([scores], dtype=float), np.array([target]))[0] == (best + worst) / 2


def test_a_target_tied_with_the_whole_catalogue_gets_the_middle_rank_not_the_first() -> None:
    assert mean_rank(np.zeros((1, 101)), np.array([0])).tolist() == [51.0]


def test_a_target_that_cannot_be_ranked_counts_as_not_found() -> None:
    rank = np.array([np.nan])
    assert (reciprocal_rank(rank)[0], recall_at(rank)[0], ndcg_at(rank)[0]) == (0, 0, 0)


def test_accuracy_falls_as_the_target_sinks() -> None:
    rank = np.arange(1, 30) / 2 + 0.5
    assert (np.diff(reciprocal_rank(rank)) < 0).all()
    assert (np.diff(ndcg_at(rank)) <= 0).all()
    assert ndcg_at(np.array([1.0, 2.0])) == pytest.approx([1, 1 / np.log2(3)])
