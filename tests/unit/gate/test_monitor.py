"""The line over its nights: a decline that every night lets pass, what equal models cost, and attempts on one data."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finest.gate.monitor import (
    CHAMPIONS,
    NOISE,
    attempts,
    bound,
    chain,
    confidence_of_attempt,
    follow,
    log_evidence,
    others,
    training_noise,
)
from finest.gate.verdict import Night

SCALE = 0.02


def night(number: int, ratio: float | None = 0.0, error: float = 0.003, **others: Any) -> Night:
    """A night that was promoted, compared with the champion of the night before."""
    facts = {
        "run": f"run-{number}",
        "verdict": "pass",
        "promoted": True,
        "champion": str(number) if number else "",
        "fingerprint": f"day-{number}",
        "log_ratio": ratio,
        "standard_error": None if ratio is None else error,
        "candidate": f"candidate-{number}",
    }
    return Night.model_validate(facts | others)


def line(count: int, ratio: float = 0.0, error: float = 0.003) -> list[Night]:
    """The first night, which has no champion, and those after it."""
    return [night(0, None), *(night(number, ratio, error) for number in range(1, count))]


@given(
    ratios=st.lists(st.floats(-0.1, 0.1), min_size=1, max_size=8),
    error=st.floats(0.005, 0.1),
    noise=st.floats(0, 0.03),
    scale=st.floats(0.005, 0.05),
)
@settings(deadline=None)
def test_the_evidence_is_the_mixture_of_likelihood_ratios_of_every_beginning(
    ratios: list[float], error: float, noise: float, scale: float
) -> None:
    found = log_evidence(np.array(ratios), np.full(len(ratios), error**2), np.array(noise), scale)
    drops = np.linspace(0, 8 * scale + 0.2, 100_001)
    for count in range(1, len(ratios) + 1):
        covariance = (error**2 + 2 * noise**2) * np.eye(count)
        covariance -= noise**2 * (np.eye(count, k=1) + np.eye(count, k=-1))
        weight = np.linalg.solve(covariance, np.ones(count))
        logs = -drops * (weight @ ratios[:count]) - drops**2 * weight.sum() / 2
        prior = 2 * np.exp(-((drops / scale) ** 2) / 2) / (scale * math.sqrt(2 * math.pi))
        mixed = logs.max() + np.log(np.trapezoid(np.exp(logs - logs.max()) * prior, drops))
        assert found[count - 1] == pytest.approx(mixed, abs=0.02)


@pytest.mark.parametrize("rise", [0.0, 0.01])
def test_its_mean_over_lines_that_do_not_decline_is_one_at_most(rise: float) -> None:
    random, lines, nights, noise, error = np.random.default_rng(0), 200_000, 6, 0.005, 0.01
    luck = noise * random.standard_normal((lines, nights + 1))
    ratios = rise + luck[:, :-1] - luck[:, 1:] + error * random.standard_normal((lines, nights))
    likelihoods = np.exp(log_evidence(ratios, np.full(ratios.shape, error**2), np.full(lines, noise), 0.01))
    limit = 1 if rise == 0 else 0.9
    assert (likelihoods.mean(axis=0) < limit + 4 * likelihoods.std(axis=0) / math.sqrt(lines)).all()
    assert rise or (likelihoods.mean(axis=0) > 0.85).all()


@given(
    ratios=st.lists(st.floats(-0.1, 0.1), min_size=1, max_size=40),
    where=st.integers(0, 39),
    worse=st.floats(0.001, 0.1),
)
@settings(deadline=None)
def test_a_worse_candidate_never_has_less_evidence_against_it(ratios: list[float], where: int, worse: float) -> None:
    past = [night(0, None), *(night(number, ratio) for number, ratio in enumerate(ratios[1:], 1))]
    end = len(ratios)
    one, other = (follow(past, night(end, ratio), SCALE) for ratio in (ratios[0], ratios[0] - worse))
    assert one and other and other.evidence >= one.evidence * (1 - 1e-9)


@pytest.mark.parametrize(("creep", "most"), [(0.01, 5), (0.02, 3), (0.05, 1)])
def test_a_creep_is_over_the_bound_within_nights(creep: float, most: int) -> None:
    past = line(10)
    while (found := follow(past, night(len(past), math.log1p(-creep)), SCALE)) and found.evidence < found.bound(60):
        past.append(night(len(past), math.log1p(-creep)))
    passed = len(past) - 10
    assert found is not None and passed < most
    assert found.log_ratio == pytest.approx((passed + 1) * math.log1p(-creep), abs=1e-9)
    assert found.since.run in ("run-9", "run-10")


def test_a_hundred_equal_nights_and_a_better_one_are_no_decline() -> None:
    for ratio in (0.0, 0.01):
        found = follow(line(100, ratio), night(100, ratio), SCALE)
        assert found and found.evidence < 30 and found.champions == CHAMPIONS


def test_the_luck_of_the_best_champion_is_no_decline() -> None:
    lucky = [*line(10), night(10, 0.01), night(11, -0.01)]  # one training in fifty is as lucky
    found = follow(lucky, night(12), SCALE)
    assert found and found.evidence < 30


def test_the_chain_goes_along_the_promotions_alone_and_ends_where_a_ratio_is_not_known() -> None:
    refused = night(3, -0.5, promoted=False, verdict="fail")
    past = [*line(3), refused, night(4, 0.01)]
    assert [one.run for one in chain(past, night(5))] == ["run-5", "run-4", "run-2", "run-1"]
    past[2] = night(2, None)
    assert [one.run for one in chain(past, night(5))] == ["run-5", "run-4"]
    assert chain(past, night(5, None)) == [] and follow(past, night(5, None), SCALE) is None


def test_after_an_alarm_half_the_bound_holds_until_a_candidate_is_promoted() -> None:
    alarm = night(5, -0.04, promoted=False, verdict="fail", alarm=True)
    for more, alarmed in (([], True), ([night(6, promoted=False)], True), ([night(6)], False)):
        found = follow([*line(5), alarm, *more], night(7), SCALE)
        assert found and found.alarmed == alarmed and found.bound(60) == (30 if alarmed else 60)
    assert bound(60, np.array([True, False])).tolist() == [30, 60]


def test_the_noise_of_training_is_learned_from_the_controls_of_all_nights_that_say_it() -> None:
    assert training_noise([]) == pytest.approx(NOISE)
    loud = [night(number, noise=0.02**2, verdict="fail" if number % 3 else "pass") for number in range(60)]
    assert training_noise(loud) == pytest.approx(0.02, rel=0.02)
    silent = [night(number) for number in range(9)]
    assert training_noise([*loud, *silent]) == training_noise(loud)
    assert training_noise([night(0, noise=-1.0)]) > 0  # what is taken off for sampling may be more than there is


def test_every_other_candidate_that_was_refused_on_the_data_is_an_attempt() -> None:
    same: dict[str, Any] = {"fingerprint": "day", "verdict": "fail", "promoted": False}
    tonight = night(9, fingerprint="day")
    past = [night(1, **same), night(2, **same)]
    assert attempts([], tonight) == 1 and attempts(past, tonight) == 3
    assert attempts([*past, night(9, **same)], tonight) == 3, "a retry of the run itself"
    assert attempts([*past, night(3, **same, candidate="candidate-2")], tonight) == 3, "the same model, judged again"
    assert attempts([*past, night(3, **same, candidate="candidate-2", seed=1)], tonight) == 4
    assert attempts([*past, night(3, fingerprint="day")], tonight) == 3, "one that passed"
    assert attempts([night(3, **same | {"fingerprint": "another"})], tonight) == 1
    unknown: dict[str, Any] = {"fingerprint": None}
    assert attempts([night(1, **same | unknown)], night(9, **unknown)) == 1


def test_a_night_that_was_cut_off_after_its_verdict_and_begun_anew_is_no_night_before() -> None:
    tonight = night(9, promoted=False)
    cut_off = tonight.model_copy(update={"run": "run-8b"})
    before = [night(7), night(8)]
    assert others([*before, cut_off, tonight], tonight) == before
    other = [cut_off.model_copy(update=one) for one in ({"seed": 1}, {"config": "x"}, {"fingerprint": "day-8"})]
    promoted = cut_off.model_copy(update={"promoted": True})
    assert others([*before, *other, promoted], tonight) == [*before, *other, promoted]
    unknown = tonight.model_copy(update={"fingerprint": ""})
    assert others([unknown.model_copy(update={"run": "a"})], unknown) != []


def test_all_attempts_together_err_in_less_than_seven_percent() -> None:
    errors = [1 - confidence_of_attempt(attempt) for attempt in range(1, 100_000)]
    assert errors[0] == pytest.approx(0.05) and sum(errors) < 0.07
    assert errors == sorted(errors, reverse=True)
