"""Some items stand for a large catalogue: what is fitted to them is what is fitted to all."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse

from finest.histories import Histories
from finest.memory import fit as fit_module
from finest.memory import fitting as fitting_module
from finest.memory.featured import Featured
from finest.memory.fit import fit
from finest.memory.fitting import Fitting
from finest.memory.sampled import sampled
from finest.memory.seen import Floats, Pairs
from finest.memory.tables import Counts

ITEMS, M = 3000, 400


class Lazily:
    """Log-probabilities that are computed when they are looked at."""

    def __init__(self, whole: Floats, which: np.ndarray):
        self.whole, self.which = whole, which

    def __getitem__(self, which: np.ndarray) -> "Lazily":
        return Lazily(self.whole, self.which[which])

    def __array__(self, dtype: object = None, copy: bool | None = None) -> Floats:
        return np.asarray(self.whole[self.which])


def made_up() -> Fitting:
    """Instances whose target is what the network says, what follows the last item, or a popular item."""
    rng = np.random.default_rng(0)
    popularity = 1 / np.arange(1, ITEMS + 1)
    popularity /= popularity.sum()
    last = rng.choice(ITEMS, M, p=popularity) + 1
    scores = np.log(popularity) / 2 + 2 * rng.normal(size=(M, ITEMS))
    logp = (scores - np.log(np.exp(scores).sum(1, keepdims=True))).astype(np.float32)
    says = [rng.choice(ITEMS, p=np.exp(row.astype(float)) / np.exp(row.astype(float)).sum()) + 1 for row in logp]
    way = rng.random(M)
    target = np.where(way < 0.5, says, np.where(way < 0.8, last % ITEMS + 1, rng.choice(ITEMS, M, p=popularity) + 1))
    row = np.arange(1, ITEMS + 1)
    follows = sparse.csr_array((np.full(ITEMS, 0.3, np.float32), (row, row % ITEMS + 1)), shape=(ITEMS + 1,) * 2)
    alike = sparse.csr_array((np.full(ITEMS, 0.3, np.float32), (row, (row + 1) % ITEMS + 1)), shape=(ITEMS + 1,) * 2)
    counts = Counts(np.r_[0, popularity], follows, alike)
    excluded = Pairs(np.arange(M), np.where(last == target, last % ITEMS + 1, last))
    featured = Featured(counts, Histories(last, np.arange(M + 1)), ["follows", "alike_linear"])
    return Fitting(featured, target, rng.integers(0, 90, M), logp, excluded)


@pytest.mark.parametrize("weights", [[1, 0, 0, 0], [0.6, 0.3, 1, 0.5], [0, 1, 1, -0.5], [0, 0, 0, 0], [0.4, 0, 2, 0]])
@pytest.mark.parametrize("power", [0.0, 0.5])
def test_the_loss_and_its_gradient_are_about_those_of_all_items(weights: list[float], power: float) -> None:
    whole, some = made_up(), sampled(made_up())
    (loss, gradient), (estimate, slope) = (one.loss(np.array(weights), power) for one in (whole, some))
    assert estimate == pytest.approx(loss, abs=0.02)
    assert slope == pytest.approx(gradient, abs=0.05)
    assert some.spread()[:2] == pytest.approx(whole.spread()[:2], rel=1e-4)


def test_counts_alone_are_sampled_too() -> None:
    whole = made_up().without_network()
    (loss, gradient), (estimate, slope) = (one.loss(np.array([0.8, 1, 0.3]), 0.0) for one in (whole, sampled(whole)))
    assert estimate == pytest.approx(loss, abs=0.02) and slope == pytest.approx(gradient, abs=0.05)


@pytest.mark.parametrize("power", [0.0, 0.5])
def test_a_large_catalogue_has_about_the_weights_and_exactly_the_ranks(
    monkeypatch: pytest.MonkeyPatch, power: float
) -> None:
    (whole,) = fit(made_up(), [power])
    ranks = made_up().reciprocal_ranks(whole)
    monkeypatch.setattr(fit_module, "WHOLE", 1)
    monkeypatch.setattr(fitting_module, "AT_A_TIME", 7 * ITEMS)
    lazily = replace(made_up(), network=Lazily(np.asarray(made_up().network), np.arange(M)))
    (weights,) = fit(lazily, [power])
    assert weights == pytest.approx(whole, abs=0.05)
    assert fit(lazily, [power]) == [weights]
    assert np.array_equal(lazily.reciprocal_ranks(whole), ranks)
    assert lazily.reciprocal_ranks(weights).mean() == pytest.approx(ranks.mean(), abs=0.003)


def test_draws_do_not_depend_on_how_many_instances_are_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    at_once = sampled(made_up())
    monkeypatch.setattr(fitting_module, "AT_A_TIME", 7 * ITEMS)
    in_parts = sampled(made_up())
    assert np.array_equal(at_once.values, in_parts.values) and np.array_equal(at_once.own, in_parts.own)
    assert np.array_equal(at_once.correction, in_parts.correction) and np.array_equal(at_once.start, in_parts.start)
