"""Watches a line over its nights: a slow decline that every night lets pass, and repeated tries on one day's data.

A night compares its candidate with one champion, on one day's rows. The nights' log ratios r_t of MRR, added up along
the promotions, compare it with older champions too, whose lists are not there any more. With e_t the sampling error of
a night and u_t the luck of a training, r_t = (level_t + u_t) - (level_t-1 + u_t-1) + e_t: the luck of a model counts
for it on its first night and against the next one, so that neighbours have the covariance -noise^2, and a sum over any
number of nights has the luck of its two ends alone.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

import numpy as np
import numpy.typing as npt
from scipy import special

from finest.gate.statistic import CONFIDENCE
from finest.gate.verdict import Night

Floats = npt.NDArray[np.float64]

CHAMPIONS = 30
"""Number of champions of the line, the newest first, that a candidate is held against."""
CLEARED = 0.5
"""Share of the bound that the evidence must be under once a candidate was refused by it, until one is promoted. At the
bound itself, one lucky measurement in six would let a line of steady decline pass."""
NOISE, NOISE_NIGHTS = 0.005, 2
"""Standard deviation of log MRR between equal trainings that a line begins with, and the number of nights that it
counts as; the line's own controls soon outweigh it."""


@dataclass(frozen=True)
class Trend:
    """Holds how a candidate stands against the last champions of its line."""

    nights: int
    """Number of nightly ratios from `since`'s champion to the candidate, tonight's among them."""
    since: Night
    """The night that first compared with the champion that most speaks for a decline."""
    log_ratio: float
    """Log of the candidate's MRR over that champion's, by the chain."""
    standard_error: float
    champions: int
    """Number of champions that the chain reaches back to."""
    evidence: float
    """Sum of the likelihood ratios of a decline over all nights that it may have begun on; `bound` says from what."""
    alarmed: bool
    """Whether a candidate was refused by this since the last promotion."""
    shown: tuple[float, ...] = ()
    """Log ratios of the line's past candidates that passed to their champions."""

    def bound(self, false_alarm_nights: float) -> float:
        """Returns what the evidence must be under."""
        return float(bound(false_alarm_nights, self.alarmed))


def follow(history: Sequence[Night], tonight: Night, scale: float) -> Trend | None:
    """Follows the promotions back from tonight's candidate.

    Args:
        history: Past nights, oldest first.
        tonight: The night that is judged.
        scale: Size of the drops a night that are looked for, as a share of MRR.

    Returns:
        None where tonight's ratio is not known.
    """
    links = chain(history, tonight)
    if not links:
        return None
    log_ratio = np.array([night.log_ratio for night in links])
    variance = np.array([night.standard_error for night in links]) ** 2
    noise = training_noise(history)
    logs = log_evidence(log_ratio, variance, np.array(noise), scale)
    most = int(np.argmax(logs))
    waiting = takewhile(lambda night: not night.promoted, reversed(history))
    return Trend(
        nights=most + 1,
        since=links[most],
        log_ratio=float(log_ratio[: most + 1].sum()),
        standard_error=math.sqrt(variance[: most + 1].sum() + 2 * noise**2),
        champions=len(links),
        evidence=float(np.exp(np.minimum(special.logsumexp(logs), 700.0))),
        alarmed=any(night.alarm for night in waiting),
        shown=tuple(night.log_ratio for night in history if night.verdict == "pass" and night.log_ratio is not None),
    )


def chain(history: Sequence[Night], tonight: Night) -> list[Night]:
    """Returns the nights whose ratios lead from tonight's candidate back along the promotions, tonight first.

    It ends at the first champion, at a night whose ratio is not known, or after CHAMPIONS nights.
    """
    line = [tonight, *(night for night in reversed(history) if night.promoted)]
    known = takewhile(lambda night: night.log_ratio is not None and night.standard_error is not None, line)
    return list(known)[:CHAMPIONS]


def log_evidence(log_ratio: Floats, variance: Floats, noise: Floats, scale: float) -> Floats:
    """Computes the log likelihood ratio of a steady decline that began so many nights ago, against none.

    Of the last n ratios r, with S their covariance (`variance` + 2 noise^2, and -noise^2 between neighbours), a drop by
    c a night has the likelihood ratio exp(c b - c^2 a / 2), a = 1' S^-1 1 and b = -1' S^-1 r. It is mixed over c with
    the positive half of a normal of standard deviation s = `scale`:
    2 / sqrt(1 + a s^2) exp(z^2 / 2) Phi(z), z = b s / sqrt(1 + a s^2)
    (the one-sided normal mixture; Howard, Ramdas, McAuliffe, Sekhon 2021, "Time-uniform, nonparametric, nonasymptotic
    confidence sequences", section 3.2). Its mean is 1 if levels stay, and less if they rise.

    Args:
        log_ratio: Ratios [..., N], tonight first.
        variance: Their squared standard errors [..., N].
        noise: Standard deviation of log MRR between equal trainings [...].
        scale: Size of the drops a night.

    Returns:
        Logs [..., N], of n = 1 to N.

    >>> import numpy as np
    >>> ratios, equal = np.full(5, -0.01), np.zeros(5)
    >>> np.round(log_evidence(ratios, np.full(5, 0.003) ** 2, np.array(0.005), 0.02), 1).tolist()
    [0.3, 1.9, 4.8, 8.7, 13.2]
    >>> bool((log_evidence(equal, np.full(5, 0.003) ** 2, np.array(0.005), 0.02) < 0).all())
    True
    """
    square = np.square(noise)
    information, signal = np.zeros(log_ratio.shape), np.zeros(log_ratio.shape)
    # S is tridiagonal, and that of n nights the corner of that of n + 1: one elimination gives all.
    one, seen, pivot = np.zeros_like(square), np.zeros_like(square), np.full_like(square, np.inf)
    for night in range(log_ratio.shape[-1]):
        carried = square / pivot
        one, seen = 1 + carried * one, log_ratio[..., night] + carried * seen
        pivot = variance[..., night] + 2 * square - carried * square
        information[..., night], signal[..., night] = one * one / pivot, -one * seen / pivot
    spread = 1 + np.cumsum(information, axis=-1) * scale**2
    z = np.cumsum(signal, axis=-1) * scale / np.sqrt(spread)
    return np.asarray(math.log(2) - np.log(spread) / 2 + z * z / 2 + special.log_ndtr(z))


def bound(false_alarm_nights: float, alarmed: bool | npt.NDArray[np.bool_]) -> Floats:
    """Returns what the sum of likelihood ratios over all beginnings must be under.

    The sum is the e-detector of Shiryaev-Roberts type of Shin, Ramdas, Rinaldo (2022), "E-detectors: a nonparametric
    framework for sequential change detection": under a bound A, a line that does not decline has its first alarm after
    A nights or more on average. That the luck of a champion tells in later nights is not in the theorem; what comes of
    all this in a thousand years of nights is measured (docs/error_rates.md).
    """
    return np.where(alarmed, CLEARED, 1.0) * false_alarm_nights


def training_noise(history: Sequence[Night]) -> float:
    """Returns the standard deviation of log MRR between equal trainings, by the controls of past nights."""
    found = [night.noise for night in history if night.noise is not None]
    return float(pooled_noise(np.array(sum(found)), np.array(len(found))))


def pooled_noise(total: Floats, nights: npt.NDArray[np.int64]) -> Floats:
    """Returns the root of the mean variance of `nights` nights, of which `total` is the sum, and of a line's first."""
    return np.sqrt((NOISE_NIGHTS * NOISE**2 + np.maximum(total, 0)) / (NOISE_NIGHTS + nights))


def others(history: Sequence[Night], tonight: Night) -> list[Night]:
    """Returns the nights before tonight's: neither this run, nor one that was cut off after its verdict and begun anew.

    Such a one has judged the same candidate under the same config on the same data. What it measured is no further
    draw, and tonight's verdict must be the one that it would have been acted on. One that was promoted stays: the
    champion is its.
    """
    return [
        night
        for night in history
        if night.run != tonight.run
        and (
            night.promoted
            or not tonight.fingerprint
            or night.fingerprint != tonight.fingerprint
            or _what(night) != _what(tonight)
        )
    ]


def attempts(history: Sequence[Night], tonight: Night) -> int:
    """Returns which attempt on its data tonight's is, from 1: one more than other candidates were refused on it.

    The same run again is the same attempt, and so is the same candidate under the same config. Data without a
    fingerprint is always new.
    """
    if not tonight.fingerprint:
        return 1
    refused = {
        _what(night)
        for night in history
        if night.verdict == "fail" and night.fingerprint == tonight.fingerprint and night.run != tonight.run
    }
    return 1 + len(refused - {_what(tonight)})


def _what(night: Night) -> tuple[str, int | None, str]:
    return night.candidate, night.seed, night.config


def confidence_of_attempt(attempt: int) -> float:
    """Returns the confidence of one-sided bounds of an attempt on the same data.

    The first one errs by 5%; attempt k by 5% * 6 / (pi^2 k^2), so that all attempts together, however many, err by less
    than 7%.

    >>> [round(confidence_of_attempt(attempt), 4) for attempt in (1, 2, 3)]
    [0.95, 0.9924, 0.9966]
    """
    return CONFIDENCE if attempt == 1 else 1 - (1 - CONFIDENCE) * 6 / (math.pi * attempt) ** 2
