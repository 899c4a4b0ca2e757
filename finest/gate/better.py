"""Compares the verdicts of two candidates of a line."""

from math import hypot, inf
from statistics import NormalDist

from finest.gate.verdict import Verdict

CONFIDENCE = 0.95


def better(new: Verdict, old: Verdict) -> bool:
    """Tells whether a candidate is proven to be better than an earlier one, by what the gate measured of both.

    Both were compared with the same champion; the log of the new one's MRR over that champion's is above the old one's
    by more than 1.645 standard errors of the difference (one-sided 95%, of users); and its mean RLS (rbo) is no lower.
    Where any of these numbers is missing, nothing is proven.
    """
    mine, theirs = new.night, old.night
    if mine is None or theirs is None or not mine.champion or mine.champion != theirs.champion:
        return False
    if None in (mine.log_ratio, theirs.log_ratio, mine.standard_error, theirs.standard_error):
        return False
    gain = (mine.log_ratio or 0.0) - (theirs.log_ratio or 0.0)
    error = hypot(mine.standard_error or 0.0, theirs.standard_error or 0.0)
    stability = new.metrics.get("rls/rbo", -inf), old.metrics.get("rls/rbo", inf)
    return gain > NormalDist().inv_cdf(CONFIDENCE) * error and stability[0] >= stability[1]
