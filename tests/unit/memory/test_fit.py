"""Weights: the gradient is that of the loss, what helps is found, what is drawn to the old weights stays there."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse

from finest.errors import DataError
from finest.histories import Histories
from finest.memory.featured import Featured
from finest.memory.fit import fit, part_of
from finest.memory.fitting import Fitting
from finest.memory.seen import Pairs
from finest.memory.tables import Counts

ITEMS, M = 30, 300


def made_up(follows: float, network: bool = True, seed: int = 0) -> Fitting:
    """Instances whose target follows the last item by a rule, in so many cases; any item otherwise."""
    rng = np.random.default_rng(seed)
    last = rng.integers(1, ITEMS + 1, M)
    target = np.where(rng.random(M) < follows, last % ITEMS + 1, rng.integers(1, ITEMS + 1, M))
    row = np.arange(1, ITEMS + 1)
    table = sparse.csr_array((np.full(ITEMS, 0.5, np.float32), (row, row % ITEMS + 1)), shape=(ITEMS + 1, ITEMS + 1))
    counts = Counts(np.r_[0, np.full(ITEMS, 1 / ITEMS)], table, table)
    scores = rng.normal(size=(M, ITEMS)).astype(np.float32)
    logp = scores - np.log(np.exp(scores).sum(1, keepdims=True))
    excluded = Pairs(np.arange(M), np.where(last == target, last % ITEMS + 1, last))
    featured = Featured(counts, Histories(last, np.arange(M + 1)), ["follows", "alike_linear"])
    return Fitting(featured, target, rng.integers(0, 40, M), logp if network else None, excluded)


@pytest.mark.parametrize("power", [0.0, 0.5])
def test_the_gradient_is_that_of_the_loss(power: float) -> None:
    fitting = made_up(0.5)
    weights = np.array([0.7, 0.2, 0.4, -0.3])
    _, gradient = fitting.loss(weights, power)
    for number in range(len(weights)):
        up, down = weights.copy(), weights.copy()
        up[number] += 1e-2
        down[number] -= 1e-2
        slope = (fitting.loss(up, power)[0] - fitting.loss(down, power)[0]) / 2e-2
        assert gradient[number] == pytest.approx(slope, abs=2e-3)


def test_what_tells_gets_weight_and_a_network_that_tells_nothing_gets_none() -> None:
    (weights,) = fit(made_up(0.8), [0.5])
    assert weights["follows"] > 0.5 and abs(weights["network"]) < 0.25
    assert (made_up(0.8, seed=1).reciprocal_ranks(weights) > 0.9).mean() > 0.6


def test_ties_count_as_the_mean_over_their_orders() -> None:
    nothing = dict.fromkeys(["network", "popularity", "follows", "alike_linear"], 0.0)
    found = made_up(0.5).reciprocal_ranks(nothing)  # one item is excluded, all others are tied
    assert np.allclose(found, np.mean(1 / np.arange(1, ITEMS)))


def test_weights_are_drawn_to_the_old_ones() -> None:
    old = {"network": 0.0, "popularity": 0.0, "follows": 3.0, "alike_linear": 0.0}
    free, drawn = (fit(made_up(0.3), [0.0], old, pull)[0] for pull in (1e-3, 100.0))
    assert abs(drawn["follows"] - 3.0) < 0.1 < abs(free["follows"] - 3.0)


def test_equal_instances_give_equal_weights() -> None:
    assert fit(made_up(0.5), [0.5]) == fit(made_up(0.5), [0.0, 0.5])[1:]


def test_some_instances_score_as_they_do_among_all() -> None:
    fitting = made_up(0.5)
    weights = {"network": 0.5, "popularity": 0.1, "follows": 1.0, "alike_linear": 0.2}
    chosen = np.arange(M) % 3 == 0
    assert np.array_equal(fitting.only(chosen).scores(weights), fitting.scores(weights)[chosen])
    assert np.isneginf(fitting.scores(weights)).sum() == M


def test_a_users_instances_are_in_one_part() -> None:
    user = np.array([3, 3, 9, 9, 1, 4])
    part = part_of(user, 3)
    assert part.tolist() == [False, False, True, True, True, False]


def test_without_instances_there_is_one_line() -> None:
    with pytest.raises(DataError, match="no held-out interaction"):
        fit(replace(made_up(0.5)).only(np.zeros(M, bool)), [0.0])


def test_a_feature_that_the_old_weights_lack_finds_its_own() -> None:
    """The champion had another config: drawn to 0 as strongly as the rest, what is new would never be of use."""
    old = {"network": 0.0, "popularity": 0.0, "alike_linear": 0.0}
    (weights,) = fit(made_up(0.8), [0.5], old, 100.0)
    assert weights["follows"] > 0.5 and abs(weights["alike_linear"]) < 0.1
