"""Negative flips: hits in the top 10 that users had and lose, beyond those that another seed of training loses as well.

Source: S. Yan et al., Positive-congruent training: towards regression-free model updates, CVPR 2021.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from finest.gate.evidence import Evidence
from finest.gate.listed import Listed
from finest.gate.rls import ByUser
from finest.gate.statistic import Ratio, Statistic
from finest.metrics.overlaps import HEAD

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Flips:
    """Holds shares of hits that are lost; NaN where there was none to lose."""

    whose: str
    """Of whom the hits were: `champion` or `base`."""
    hits: int
    """Number of hits that there were."""
    lost: int
    """Number of them that the candidate does not have."""
    of_hits: float
    """The share of hits that is lost."""
    of_users: float
    """The share of users with a hit who have none left."""
    seed: float | None
    """The share of hits that another seed loses without FINEST, on the same instances and in the mean of both
    directions; None without that control."""
    excess: Statistic | None
    """What the candidate loses beyond it, with one-sided 95% bounds by users; None where that cannot be said."""


def flips(evidence: Evidence, by_user: ByUser, comparable_M: Mask) -> Flips:
    """Compares the candidate's hits with the champion's where the two can be compared, or without one, with base's."""
    candidate, champion = evidence.candidate, evidence.other("champion")
    old = champion or evidence.clean(evidence.group, "base")
    among_M = comparable_M if champion else np.ones(len(candidate.items), bool)
    had_M, has_M = _hit(old) & among_M, _hit(candidate) & among_M
    lost_M, hits = had_M & ~has_M, int(had_M.sum())
    had_U, has_U = (np.bincount(evidence.codes, each) for each in (had_M, has_M))
    lost, seed = _share(by_user, lost_M, had_M, among_M), _seed(evidence, by_user, among_M)
    return Flips(
        whose="champion" if champion else "base",
        hits=hits,
        lost=int(lost_M.sum()),
        of_hits=lost.value,
        of_users=float(np.mean(has_U[had_U > 0] == 0)) if hits else np.nan,
        seed=None if seed is None else seed.value,
        excess=None if seed is None or not hits else lost - seed,
    )


def _seed(evidence: Evidence, by_user: ByUser, among_M: Mask) -> Ratio | None:
    """Returns the share of hits lost between two seeds, both directions together; None where nothing tells.

    Counts know no seed: where they are served alone, the seeds are the network's.
    """
    stages = ("network", "base") if evidence.candidate.description.served == "memory" else ("base",)
    other = next(filter(None, (evidence.find("control", "seed", stage) for stage in stages)), None)
    if other is None:
        return None
    clean = evidence.clean(other.description.group, other.description.stage)
    one_M, other_M = _hit(clean) & among_M, _hit(other) & among_M
    if not (one_M | other_M).any():
        return None
    return _share(by_user, one_M != other_M, one_M.astype(np.int64) + other_M, among_M)


def _share(by_user: ByUser, part_M: npt.NDArray[Any], whole_M: npt.NDArray[Any], among_M: Mask) -> Ratio:
    part, whole = by_user.means([part_M.astype(np.float64), whole_M.astype(np.float64)], among_M)
    return part / whole


def _hit(listed: Listed) -> Mask:
    """Tells where the target is in the top 10 [M]."""
    return listed.target_rank <= HEAD
