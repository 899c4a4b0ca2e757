"""Intervals over scenarios, and means over users that are drawn together."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finest.gate.rls import Resampling, over_scenarios
from finest.gate.statistic import Statistic, average, detectable_drop

USER = np.repeat(np.arange(30), 4)
VALUES = st.lists(st.floats(0, 1), min_size=3, max_size=6)


def exact(value: float, *draws: float) -> Statistic:
    return Statistic(value, np.array(draws or (value, value)))


def test_the_lower_bound_over_scenarios_is_the_one_computed_by_hand() -> None:
    # mean .9016667, s = .0076376; draws of the mean are .9016667 -+ .01, SE = .0141421; t(.95, 2) = 2.9199856
    samples = [exact(value, value - 0.01, value + 0.01) for value in (0.900, 0.910, 0.895)]
    mean, low, high = over_scenarios(samples)
    half = 2.9199856 * (0.0076376**2 / 3 + 0.0141421**2) ** 0.5
    assert mean == pytest.approx(0.9016667, abs=1e-6)
    assert [low, high] == pytest.approx([0.9016667 - half, 0.9016667 + half], abs=1e-5)


def test_scenarios_that_agree_still_leave_the_instances_error() -> None:
    mean, low, _ = over_scenarios([exact(0.9, 0.88, 0.92)] * 4)
    assert mean - low == pytest.approx(2.3533634 * np.sqrt(2) * 0.02, abs=1e-6)


@settings(max_examples=50)
@given(values=VALUES, gain=st.floats(0, 0.2))
def test_probes_that_all_agree_more_never_have_a_lower_bound(values: list[float], gain: float) -> None:
    before = over_scenarios([exact(value) for value in values])
    after = over_scenarios([exact(value + gain) for value in values])
    assert after[1] == pytest.approx(before[1] + gain, abs=1e-9)
    assert after[1] <= after[0] + 1e-12


@settings(max_examples=50)
@given(values=VALUES, spread=st.floats(1, 3))
def test_scenarios_that_differ_more_have_a_lower_bound_further_down(values: list[float], spread: float) -> None:
    middle = float(np.mean(values))
    wider = [middle + spread * (value - middle) for value in values]
    assert (
        over_scenarios([exact(value) for value in wider])[1]
        <= over_scenarios([exact(value) for value in values])[1] + 1e-9
    )


def test_differences_and_ratios_keep_their_pairing() -> None:
    values = np.random.default_rng(0).random(len(USER))
    once, twice = Resampling(USER, 500, 0).means([values, 2 * values])
    ratio = twice / once
    assert [ratio.value, ratio.low, ratio.high] == pytest.approx([2, 2, 2])
    assert detectable_drop(ratio) == pytest.approx(0)
    assert (twice - once).standard_error == pytest.approx(once.standard_error)
    assert average([once, twice]).value == pytest.approx(1.5 * once.value)


def test_a_mean_over_some_instances_is_that_of_those_alone() -> None:
    values = np.where(np.arange(len(USER)) % 2 == 0, 5.0, np.nan)
    among = ~np.isnan(values)
    sample = Resampling(USER, 100, 0).means([values], among)[0]
    assert (sample.value, sample.low, sample.high) == (5, 5, 5)


def test_the_interval_covers_the_true_mean_as_often_as_it_says() -> None:
    random = np.random.default_rng(0)
    below = 0
    for seed in range(200):
        values = (random.standard_normal(30)[:, None] + 0.3 * random.standard_normal((30, 4))).ravel()
        below += Resampling(USER, 200, seed).means([values])[0].low <= 0
    assert 0.90 <= below / 200 <= 0.99
