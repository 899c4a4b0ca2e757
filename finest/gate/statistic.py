"""Means over instances with what every user adds to their error, so that differences and ratios keep their pairing.

A user's instances stand together: the error of a mean is the sum of independent parts, one a user, each what leaving
the user out would move (the jackknife of a ratio of sums; Cochran, Sampling Techniques, 1977, 6.15 to 6.17). A
difference of two means over the same users has the differences of their parts, so nothing is drawn at random, and equal
lists give equal bounds.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Protocol, Self

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, ndtri, stdtrit  # scipy.stats takes half a second to load

from finest.gate.verdict import Estimate

Floats = npt.NDArray[np.float64]

CONFIDENCE = 0.95
"""Confidence of every one-sided bound of a first attempt."""
POWER = 0.8
"""Probability with which the smallest change that a rule is said to detect is detected."""


class Bounded(Protocol):
    """Is a number with one-sided bounds."""

    @property
    def value(self) -> float:
        """Returns the measured number."""

    @property
    def confidence(self) -> float:
        """Returns the confidence of each of its bounds."""

    @property
    def low(self) -> float:
        """Returns its one-sided lower bound."""

    @property
    def high(self) -> float:
        """Returns its one-sided upper bound."""

    @property
    def standard_error(self) -> float:
        """Returns its standard error."""


@dataclass(frozen=True)
class Error:
    """Holds a standard error, and how many degrees of freedom it was estimated with; infinitely many where known."""

    standard: float
    degrees: float = np.inf

    def margin(self, confidence: float) -> float:
        """Returns how far a one-sided bound of that confidence lies from the number, by Student's t."""
        return quantile(confidence, self.degrees) * self.standard if self.standard else 0.0


def sure(confidence: float) -> str:
    """Returns a confidence in words.

    >>> sure(0.95), sure(1 - 0.05 / 4)
    ('95%', '98.8%')
    """
    return f"{100 * confidence:.3g}%"


def quantile(confidence: float, degrees: float) -> float:
    """Returns the quantile of Student's t; that of a normal for infinitely many degrees of freedom."""
    return float(ndtri(confidence) if np.isinf(degrees) else stdtrit(max(degrees, 1.0), confidence))


@dataclass(frozen=True)
class Statistic:
    """Holds a mean over instances, or a difference of such means."""

    value: float
    parts: Floats
    """How far leaving a user out moves the number [U]; 0 of a user without instances."""
    users: int
    """Number of users that hold instances of the mean."""
    confidence: float
    """Confidence of its one-sided bounds."""

    def __sub__(self, other: "Statistic") -> "Statistic":
        """Returns the difference, user by user."""
        return self._with(self.value - other.value, self.parts - other.parts, min(self.users, other.users))

    def __add__(self, other: "Statistic") -> "Statistic":
        """Returns the sum, user by user."""
        return self._with(self.value + other.value, self.parts + other.parts, min(self.users, other.users))

    def __rmul__(self, factor: float) -> "Statistic":
        """Returns the multiple."""
        return self._with(factor * self.value, factor * self.parts, self.users)

    def __truediv__(self, other: "Statistic") -> "Ratio":
        """Returns the ratio; NaN or infinite where `other` is zero."""
        with np.errstate(divide="ignore", invalid="ignore"):
            value = float(np.float64(self.value) / np.float64(other.value))
            parts = (self.parts - value * other.parts) / np.float64(other.value)
        return Ratio(value, parts, min(self.users, other.users), self.confidence, self, other)

    def as_proof(self) -> Self:
        """Returns it with the confidence of a first attempt.

        What refuses where harm is proven must not ask for more proof at a further attempt.
        """
        return replace(self, confidence=CONFIDENCE)

    def _with(self, value: float, parts: Floats, users: int) -> "Statistic":
        return Statistic(value, parts, users, self.confidence)

    @cached_property
    def standard_error(self) -> float:
        """Returns the standard error over the choice of users; infinite for one user, NaN for a number that is none."""
        if self.users < 2:
            return float(np.inf)
        with np.errstate(invalid="ignore"):
            return float(np.sqrt(self.parts @ self.parts))

    @cached_property
    def degrees(self) -> float:
        """Returns the degrees of freedom of the standard error.

        They are `users` - 1 where users' parts are normal, and fewer where some users have most of the error: by the
        parts' kurtosis k, 2 U / (k - 1), as the variance of a variance is (O'Neill, American Statistician 68, 2014).
        """
        squares = self.parts * self.parts
        with np.errstate(divide="ignore", invalid="ignore"):
            kurtosis = self.users * (squares @ squares) / squares.sum() ** 2
        most = max(self.users - 1, 1)
        return float(np.clip(2 * self.users / (kurtosis - 1), 1, most)) if kurtosis > 1 else float(most)

    @property
    def error(self) -> Error:
        """Returns the standard error with its degrees of freedom."""
        return Error(self.standard_error, self.degrees)

    @property
    def low(self) -> float:
        """Returns the one-sided lower bound."""
        return self.value - self.error.margin(self.confidence)

    @property
    def high(self) -> float:
        """Returns the one-sided upper bound."""
        return self.value + self.error.margin(self.confidence)

    def estimate(self) -> Estimate:
        """Returns the value and a two-sided 90% interval as the verdict holds them, at a further attempt too."""
        both = self.as_proof()
        return Estimate(mean=self.value, low=both.low, high=both.high)


def mean_of(sums: npt.NDArray[Any], instances: npt.NDArray[np.int64], confidence: float) -> Statistic:
    """Returns a mean over instances; NaN where there are none.

    Args:
        sums: Every user's sum over the instances [U].
        instances: Every user's number of instances [U].
        confidence: Confidence of the one-sided bounds.
    """
    total, users = int(instances.sum()), int(np.count_nonzero(instances))
    if not users:
        return Statistic(np.nan, np.full(len(sums), np.nan), 0, confidence)
    mean = float(sums.sum()) / total
    others = np.maximum(total - instances, 1)  # 0 for one user alone, who has no error that could be told
    return Statistic(mean, (sums - mean * instances) / others, users, confidence)


@dataclass(frozen=True)
class Ratio(Statistic):
    """Holds a ratio of two means, whose bounds are Fieller's: the ratios that the two means do not contradict.

    They need no ratio to be normal, only the difference between one mean and a multiple of the other (Fieller, JRSS B
    16, 1954). Where the denominator itself may be 0, they are infinite.
    """

    numerator: Statistic
    denominator: Statistic

    @cached_property
    def _bounds(self) -> tuple[float, float]:
        if not np.isfinite(self.standard_error):
            return -np.inf, np.inf
        one, other = self.numerator, self.denominator
        square = quantile(self.confidence, self.degrees) ** 2
        # (n - r d)^2 = t^2 var(n - r d), a quadratic in r
        leading = other.value**2 - square * (other.parts @ other.parts)
        if not leading > 0:
            return -np.inf, np.inf
        middle = one.value * other.value - square * (one.parts @ other.parts)
        last = one.value**2 - square * (one.parts @ one.parts)
        root = float(np.sqrt(max(float(middle**2 - leading * last), 0.0)))
        return float((middle - root) / leading), float((middle + root) / leading)

    @property
    def low(self) -> float:
        """Returns the one-sided lower bound."""
        return self._bounds[0]

    @property
    def high(self) -> float:
        """Returns the one-sided upper bound."""
        return self._bounds[1]


@dataclass(frozen=True)
class Uncertain:
    """Holds a number with the errors of several sources, each with degrees of freedom of its own.

    The margin is the root of the sum of the sources' squared margins: it is exact where one source has all of the
    error, and close to its confidence between (the modified large-sample bound; Graybill and Wang, JASA 75, 1980).
    """

    value: float
    errors: dict[str, Error]
    """By source: `users`, `scenarios`, `training`."""
    confidence: float = CONFIDENCE

    @property
    def margin(self) -> float:
        """Returns how far the one-sided bounds lie from the number."""
        return float(np.sqrt(sum(error.margin(self.confidence) ** 2 for error in self.errors.values())))

    @property
    def standard_error(self) -> float:
        """Returns the standard error of all sources together."""
        return float(np.sqrt(sum(error.standard**2 for error in self.errors.values())))

    @property
    def low(self) -> float:
        """Returns the one-sided lower bound."""
        return self.value - self.margin

    @property
    def high(self) -> float:
        """Returns the one-sided upper bound."""
        return self.value + self.margin

    @property
    def widest(self) -> str:
        """Returns the source that widens the bounds most."""
        return max(self.errors, key=lambda source: self.errors[source].margin(self.confidence))


def average(statistics: list[Statistic]) -> Statistic:
    """Returns the mean of statistics, user by user."""
    total = statistics[0]
    for statistic in statistics[1:]:
        total = total + statistic
    return (1 / len(statistics)) * total


def passes(bounded: Bounded, bound: float, truth: float) -> float:
    """Returns the probability that a lower bound as far below its number as this one is at least `bound`.

    Args:
        bounded: The number that was measured, whose margin and error are taken.
        bound: What the lower bound is held against.
        truth: The true number of the model that is asked about.
    """
    if not bounded.standard_error > 0:
        return float(truth >= bound)
    margin = bounded.value - bounded.low
    return float(ndtr((truth - bound - margin) / bounded.standard_error))


def detected(bounded: Bounded, bound: float) -> float:
    """Returns the largest true number that is refused with a probability of 80%, by the same margin and error."""
    margin = bounded.value - bounded.low
    return float(bound + margin - float(ndtri(POWER)) * bounded.standard_error)
