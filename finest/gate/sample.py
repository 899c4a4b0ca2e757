"""A number measured on the instances together with its bootstrap draws, so that differences and ratios keep their pairing."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from finest.gate.verdict import Estimate

Floats = npt.NDArray[np.float64]

CONFIDENCE = 0.95
"""Of every one-sided bound."""
Z = 1.645
"""Standard errors to a one-sided 95% bound of a normal."""


@dataclass(frozen=True)
class Sample:
    """A value, and what it is on every draw of users. All samples of a verdict share their draws."""

    value: float
    draws: Floats

    def __sub__(self, other: "Sample") -> "Sample":
        return Sample(self.value - other.value, self.draws - other.draws)

    def __truediv__(self, other: "Sample") -> "Sample":
        """NaN or infinite where `other` is zero."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return Sample(float(np.float64(self.value) / np.float64(other.value)), self.draws / other.draws)

    @property
    def low(self) -> float:
        """One-sided 95% lower bound: percentile bootstrap."""
        return self._quantile(1 - CONFIDENCE)

    @property
    def high(self) -> float:
        """One-sided 95% upper bound."""
        return self._quantile(CONFIDENCE)

    @property
    def error(self) -> float:
        """Bootstrap standard error; NaN where a draw is not finite."""
        with np.errstate(invalid="ignore"):
            return float(np.std(self.draws, ddof=1))

    def _quantile(self, share: float) -> float:
        with np.errstate(invalid="ignore"):
            return float(np.quantile(self.draws, share))

    def estimate(self) -> Estimate:
        """For the verdict."""
        return Estimate(mean=self.value, low=self.low, high=self.high)


def average(samples: list[Sample]) -> Sample:
    """The mean of samples, draw by draw."""
    return Sample(
        float(np.mean([sample.value for sample in samples])), np.mean([sample.draws for sample in samples], axis=0)
    )


def detectable_drop(ratio: Sample) -> float:
    """The relative drop at which a one-sided 95% test against no drop rejects half of the time: 1.645 standard errors of the ratio."""
    return Z * ratio.error
