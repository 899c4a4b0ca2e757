"""A statistic of the instances together with its bootstrap draws, so that differences and ratios keep their pairing."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from finest.gate.verdict import Estimate

Floats = npt.NDArray[np.float64]

CONFIDENCE = 0.95
"""Confidence of every one-sided bound."""
Z = 1.645
"""Standard errors from a normal's mean to its one-sided 95% bound. Not scipy's 1.6448...: verdicts would change in the
last digits."""


@dataclass(frozen=True)
class Statistic:
    """Holds a value, and what it is on every draw of users. All statistics of a verdict share their draws."""

    value: float
    draws: Floats

    def __sub__(self, other: "Statistic") -> "Statistic":
        """Returns the difference, draw by draw."""
        return Statistic(self.value - other.value, self.draws - other.draws)

    def __truediv__(self, other: "Statistic") -> "Statistic":
        """Returns the ratio; NaN or infinite where `other` is zero."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return Statistic(float(np.float64(self.value) / np.float64(other.value)), self.draws / other.draws)

    @property
    def low(self) -> float:
        """Returns the one-sided 95% lower bound, by the percentile bootstrap."""
        return self._quantile(1 - CONFIDENCE)

    @property
    def high(self) -> float:
        """Returns the one-sided 95% upper bound."""
        return self._quantile(CONFIDENCE)

    @property
    def standard_error(self) -> float:
        """Returns the bootstrap standard error; NaN where a draw is not finite."""
        with np.errstate(invalid="ignore"):
            return float(np.std(self.draws, ddof=1))

    def _quantile(self, share: float) -> float:
        with np.errstate(invalid="ignore"):
            return float(np.quantile(self.draws, share))

    def estimate(self) -> Estimate:
        """Returns value and bounds as the verdict holds them."""
        return Estimate(mean=self.value, low=self.low, high=self.high)


def average(statistics: list[Statistic]) -> Statistic:
    """Returns the mean of statistics, draw by draw."""
    return Statistic(
        float(np.mean([one.value for one in statistics])), np.mean([one.draws for one in statistics], axis=0)
    )


def detectable_drop(ratio: Statistic) -> float:
    """Returns the relative drop at which a one-sided 95% test against no drop rejects half of the time.

    That is 1.645 standard errors of the ratio.
    """
    return Z * ratio.standard_error
