"""Means over users with their error, and the bounds of means over scenarios."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from finest.gate.rls import ByUser, over_scenarios
from finest.gate.statistic import Error, Statistic, Uncertain, average, detected, mean_of, passes

USER = np.repeat(np.arange(30), 4)
VALUES = st.lists(st.floats(0, 1), min_size=3, max_size=6)
NONE = Error(0.0)


def exact(value: float, error: float = 0.0) -> Statistic:
    """A number with that standard error of two users."""
    return Statistic(value, np.array([-error, error]) / 2**0.5, 2, 0.95)


def test_the_lower_bound_over_scenarios_is_the_one_computed_by_hand() -> None:
    # s = .0076376, t(.95, 2) = 2.9199856; users: one degree of freedom, t(.95, 1) = 6.3137515; training: normal
    found = over_scenarios([exact(value, 0.001) for value in (0.900, 0.910, 0.895)], Error(0.004))
    margins = 2.9199856 * 0.0076376 / 3**0.5, 6.3137515 * 0.001, 1.6448536 * 0.004
    assert found.value == pytest.approx(0.9016667, abs=1e-6)
    assert found.margin == pytest.approx(np.sqrt(np.sum(np.square(margins))), abs=1e-6)
    assert found.low == pytest.approx(found.value - found.margin) and found.high > found.value
    assert found.widest == "scenarios"


def test_scenarios_that_agree_still_leave_the_users_error_and_that_of_training() -> None:
    assert over_scenarios([exact(0.9, 0.02)] * 4, NONE).margin == pytest.approx(6.3137515 * 0.02)
    assert over_scenarios([exact(0.9)] * 4, Error(0.01, 1)).margin == pytest.approx(6.3137515 * 0.01)


@settings(max_examples=50)
@given(values=VALUES, gain=st.floats(0, 0.2))
def test_probes_that_all_agree_more_never_have_a_lower_bound(values: list[float], gain: float) -> None:
    before = over_scenarios([exact(value) for value in values], NONE)
    after = over_scenarios([exact(value + gain) for value in values], NONE)
    assert after.low == pytest.approx(before.low + gain, abs=1e-9)
    assert after.low <= after.value + 1e-12


@settings(max_examples=50)
@given(values=VALUES, spread=st.floats(1, 3))
def test_scenarios_that_differ_more_have_a_lower_bound_further_down(values: list[float], spread: float) -> None:
    middle = float(np.mean(values))
    wider = [middle + spread * (value - middle) for value in values]
    narrow = over_scenarios([exact(value) for value in values], NONE)
    assert over_scenarios([exact(value) for value in wider], NONE).low <= narrow.low + 1e-9


def test_differences_and_ratios_keep_their_pairing() -> None:
    values = np.random.default_rng(0).random(len(USER))
    once, twice = ByUser(USER).means([values, 2 * values])
    ratio = twice / once
    assert [ratio.value, ratio.low, ratio.high] == pytest.approx([2, 2, 2])
    assert (twice - once).standard_error == pytest.approx(once.standard_error)
    assert average([once, twice]).value == pytest.approx(1.5 * once.value)


def test_the_standard_error_of_independent_users_is_the_textbooks() -> None:
    values = np.random.default_rng(0).random(800)
    (mean,) = ByUser(np.arange(800)).means([values])
    assert mean.standard_error == pytest.approx(values.std(ddof=1) / 800**0.5, rel=1e-3)
    (repeated,) = ByUser(np.repeat(np.arange(800), 20)).means([np.repeat(values, 20)])
    assert repeated.standard_error == pytest.approx(mean.standard_error)


def test_a_users_part_is_what_leaving_the_user_out_moves() -> None:
    values = np.random.default_rng(2).random(len(USER))
    (mean,) = ByUser(USER).means([values])
    (rest,) = ByUser(USER).means([values], USER != 7)
    assert mean.value - rest.value == pytest.approx(mean.parts[7])


def test_fiellers_bounds_are_the_ratios_that_a_test_does_not_contradict() -> None:
    random = np.random.default_rng(3)
    other = random.gamma(1, size=40)
    one, two = ByUser(np.arange(40)).means([other * random.normal(1, 0.3, 40), other])
    ratio = one / two
    for bound in (ratio.low, ratio.high):
        difference = one - bound * two
        t = difference.value / difference.standard_error
        assert abs(t) == pytest.approx(stats.t.ppf(0.95, ratio.degrees), rel=1e-6)


def test_a_ratio_to_what_may_be_zero_is_unbounded() -> None:
    one, two = ByUser(np.arange(4)).means([np.ones(4), np.array([1.0, -1, 1, -0.9])])
    assert ((one / two).low, (one / two).high) == (-np.inf, np.inf)


def test_few_users_with_all_of_the_error_leave_few_degrees_of_freedom() -> None:
    even, heavy = np.tile([1.0, -1.0], 50), np.r_[10.0, np.zeros(99)]
    one, other = ByUser(np.arange(100)).means([even, heavy])
    assert one.degrees == 99
    assert 1 <= other.degrees < 3


def test_a_mean_over_some_instances_is_that_of_those_alone() -> None:
    values = np.where(np.arange(len(USER)) % 2 == 0, 5.0, np.nan)
    among = ~np.isnan(values)
    sample = ByUser(USER).means([values], among)[0]
    assert (sample.value, sample.low, sample.high) == (5, 5, 5)
    nobody = ByUser(USER).means([values], np.zeros(len(USER), bool))[0]
    assert nobody.users == 0 and np.isnan(nobody.value)


def test_a_mean_of_one_user_is_unbounded() -> None:
    values = np.arange(len(USER), dtype=np.float64)
    alone = ByUser(USER).means([values], USER == 3)[0]
    assert (alone.users, alone.low, alone.high) == (1, -np.inf, np.inf)


def test_the_interval_covers_the_true_mean_as_often_as_it_says() -> None:
    random = np.random.default_rng(0)
    below = 0
    for _ in range(1000):
        values = (random.standard_normal(30)[:, None] + 0.3 * random.standard_normal((30, 4))).ravel()
        below += ByUser(USER).means([values])[0].low <= 0
    assert 0.93 <= below / 1000 <= 0.97


def test_an_equal_model_passes_as_often_as_is_said_and_what_is_detected_is_refused_in_four_of_five() -> None:
    random, error = np.random.default_rng(1), 0.01
    measured = Uncertain(0.9, {"users": Error(error)})
    low = random.normal(0, error, 20_000) - measured.margin
    assert passes(measured, 0.89, 0.9) == pytest.approx(np.mean(0.9 + low >= 0.89), abs=0.01)
    assert np.mean(detected(measured, 0.89) + low < 0.89) == pytest.approx(0.8, abs=0.01)


def test_an_estimate_is_a_90_percent_interval_at_a_further_attempt_too() -> None:
    sums, instances = np.arange(40.0), np.full(40, 2)
    first, third = (mean_of(sums, instances, confidence).estimate() for confidence in (0.95, 0.99))
    assert first == third
    margin = 1.6849 * mean_of(sums, instances, 0.95).standard_error  # Student's t, 95%, 39 degrees of freedom
    assert (first.mean - first.low, first.high - first.mean) == pytest.approx((margin, margin), rel=1e-3)
