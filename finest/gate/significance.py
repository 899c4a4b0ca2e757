"""P-values, and families of tests that are kept together."""

import numpy as np
from scipy.special import bdtrc, stdtr  # scipy.stats takes half a second to load

from finest.gate.statistic import CONFIDENCE, Floats, Statistic


def below_zero(mean: Statistic) -> float:
    """Returns the p-value of a mean that is not below 0, by Student's t over users. Small: it is proven to be below.

    It is below 5% just where the mean's one-sided 95% upper bound is below 0. A mean without any error is certain.
    """
    return _below_zero(mean.value, mean)


def _below_zero(value: float, mean: Statistic) -> float:
    """Returns the p-value of a number with the error of a mean."""
    if mean.standard_error == 0:
        return float(value >= 0)
    return float(stdtr(mean.degrees, value / mean.standard_error))


def more_than(mean: Statistic, excess_U: Floats, share: float) -> float:
    """Returns the p-value of a mean over users that is no more than a share. Small: it is proven to be more.

    It is exact where all have 0 or 1, by the binomial distribution: a t test of so rare a thing is far too careful.

    Args:
        mean: The mean of `excess_U` over users.
        excess_U: -1 to 1 of each user [U].
        share: The share.
    """
    if not np.isin(excess_U, (0, 1)).all():
        return _below_zero(share - mean.value, mean)
    return exceeds(int(np.count_nonzero(excess_U)), len(excess_U), share)


def exceeds(found: int, of: int, share: float) -> float:
    """Returns the p-value of `found` of so many, each with a probability of no more than a share, by the binomial."""
    return float(bdtrc(found - 1, of, share)) if found else 1.0


def holm(p_values: list[float]) -> list[float]:
    """Returns p-values corrected for their number: below 5%, by Holm, is below 5% for the whole family.

    Source: S. Holm, A simple sequentially rejective multiple test procedure, Scand. J. Statist. 6 (1979).

    >>> [round(p, 3) for p in holm([0.04, 0.01, 0.9])]
    [0.08, 0.03, 0.9]
    """
    order = np.argsort(p_values, kind="stable")
    corrected, least = [1.0] * len(p_values), 0.0
    for number, place in enumerate(order):
        least = max(least, min(1.0, p_values[place] * (len(p_values) - number)))
        corrected[place] = least
    return corrected


def proves(p: float) -> bool:
    """Tells whether a corrected p-value proves what it is of."""
    return p < 1 - CONFIDENCE
