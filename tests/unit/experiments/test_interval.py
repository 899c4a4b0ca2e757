"""Intervals over seeds are Student's t, and differences are taken in pairs."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from finest.experiments.interval import Mean, apart, difference, mean

NUMBERS = st.lists(st.floats(-10, 10), min_size=2, max_size=8)


@given(NUMBERS)
def test_the_interval_is_that_of_a_one_sample_t_test(values: list[float]) -> None:
    low, high = stats.ttest_1samp(values, 0).confidence_interval(0.95) if np.ptp(values) else (values[0], values[0])
    found = mean(values)
    assert found.seeds == len(values)
    assert [found.value, found.low, found.high] == pytest.approx([np.mean(values), low, high], abs=1e-9)


def test_one_seed_has_no_interval_and_is_apart_from_nothing() -> None:
    one = mean([0.9])
    assert one.value == 0.9 and math.isnan(one.low) and math.isnan(one.high)
    assert not apart(one, mean([0.1])) and not apart(one, mean([0.1, 0.11]))


def test_intervals_that_touch_are_not_apart() -> None:
    assert apart(Mean(2.0, 1.5, 2.5, 3), Mean(1.0, 0.5, 1.4, 3))
    assert not apart(Mean(2.0, 1.5, 2.5, 3), Mean(1.0, 0.5, 1.5, 3))


def test_a_difference_is_over_the_seeds_that_both_have() -> None:
    found = difference({0: 0.5, 1: 0.7, 2: 0.1}, {0: 0.6, 1: 0.8, 7: 9.0})
    assert found is not None and found.value == pytest.approx(0.1) and found.seeds == 2
    assert found.high - found.low < 1e-9  # equal gaps: what both share is no noise of the gap
    assert difference({0: 1.0}, {1: 1.0}) is None
