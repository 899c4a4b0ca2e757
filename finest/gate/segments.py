"""What the candidate does to each segment of the instances, and which users have odd lists.

Shapes: M instances, U users.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from finest.gate.cuts import Mask, Segment, segments
from finest.gate.evidence import Evidence, Listed
from finest.gate.rls import ByUser, Compared
from finest.gate.statistic import Floats, Ratio, Statistic
from finest.metrics import guards
from finest.metrics.accuracy import reciprocal_rank
from finest.metrics.overlaps import HEAD
from finest.metrics.similarity import rbo

Kind = Literal["base", "champion", "stability"]
EVERYONE = "everyone"
"""The cut that is none."""
EACH_USER = "each user once"
"""The value of everyone, by users: all of them count alike, however many instances they have."""
FAR_BELOW = 0.1
"""Share of another model's number under which one user's own is no matter of training any more: lists that move a tenth
as far, or agree a tenth as much."""


class Against(NamedTuple):
    """Holds the candidate's mean and that of what it is compared with, over the same instances."""

    own: Statistic
    other: Statistic

    @property
    def ratio(self) -> Ratio:
        """Returns the one over the other."""
        return self.own / self.other


@dataclass(frozen=True)
class Measurement:
    """Holds one segment's numbers. Means are over its instances, but of users that count once each, over users."""

    cut: str
    value: str
    users: int
    instances: int
    mrr: dict[str, float]
    """By model."""
    rls: dict[str, float]
    """By stage."""
    churn: float | None
    compared: dict[Kind, Against]
    """MRR with that of `base` and, on comparable instances, `champion`; `stability`: RLS with FINEST and without."""


@dataclass(frozen=True)
class Lists:
    """Holds what is compared, a value an instance [M]."""

    by_user: ByUser
    mrr: dict[str, Floats]
    """Reciprocal ranks by model: `candidate`, `base` and maybe `champion`."""
    comparable_M: Mask | None
    """Whether candidate and champion can be compared there; None without a champion."""
    rls: dict[str, Floats]
    """Mean rbo over the probes, by stage: `tuned` and maybe `base`; empty without probes."""
    churn_M: Floats | None
    """Rbo with the champion's list."""


def by_segment(
    evidence: Evidence, by_user: ByUser, probes: list[Compared], least: int, data: Path | None
) -> list[Measurement]:
    """Measures everyone, by instance and by user, and every segment; nothing where there are no base lists.

    Args:
        evidence: The rank lists.
        by_user: What means are computed by.
        probes: The probes, compared with their clean variants.
        least: Number of users that the bins at both ends of a cut have at least.
        data: Folder that ingest wrote.
    """
    if evidence.find("clean", None, "base", evidence.group) is None:
        return []
    lists = _lists(evidence, by_user, probes)
    all_M = np.ones(len(by_user.user), bool)
    return [
        _measured(Segment(EVERYONE, "each instance once", all_M), lists),
        _measured(Segment(EVERYONE, EACH_USER, all_M), lists, each_once(by_user)),
        *(_measured(segment, lists) for segment in segments(evidence, least, data)),
    ]


def each_once(by_user: ByUser) -> Floats:
    """Returns weights of instances [M] by which a mean over instances is the mean over users of their means."""
    instances_U = np.bincount(by_user.user)
    weights: Floats = len(by_user.user) / len(instances_U) / instances_U[by_user.user]
    return weights


def _lists(evidence: Evidence, by_user: ByUser, probes: list[Compared]) -> Lists:
    candidate, champion = evidence.candidate, evidence.other("champion")
    models = {"candidate": candidate, "base": evidence.clean(evidence.group, "base"), "champion": champion}
    stages = [stage for stage in ("tuned", "base") if probes and all(stage in probe.values for probe in probes)]
    return Lists(
        by_user=by_user,
        mrr={name: reciprocal_rank(listed.target_rank) for name, listed in models.items() if listed is not None},
        comparable_M=comparable(candidate, champion) if champion else None,
        rls={stage: np.mean([probe.values[stage]["rbo"] for probe in probes], axis=0) for stage in stages},
        churn_M=rbo(candidate.items, champion.items) if champion else None,
    )


def comparable(candidate: Listed, champion: Listed) -> Mask:
    """Tells where candidate and champion can be compared: after its cut, with a target that both can rank [M]."""
    after = np.ones(len(candidate.items), bool) if champion.after_cut is None else champion.after_cut
    return after & ~np.isnan(candidate.target_rank) & ~np.isnan(champion.target_rank)


def _measured(segment: Segment, lists: Lists, weights_M: Floats | None = None) -> Measurement:
    """Measures a segment, in which an instance counts by its weight; by default, all alike."""
    among, mrr = segment.among_M, lists.mrr
    weights_M = np.ones(len(among)) if weights_M is None else weights_M

    def mean(values_M: Floats) -> float:
        return float((values_M * weights_M)[among].mean())

    def against(own_M: Floats, other_M: Floats, where_M: Mask = among) -> Against:
        return Against(*lists.by_user.means([own_M * weights_M, other_M * weights_M], where_M))

    compared: dict[Kind, Against] = {"base": against(mrr["candidate"], mrr["base"])}
    if lists.comparable_M is not None and (both := among & lists.comparable_M).any():
        compared["champion"] = against(mrr["candidate"], mrr["champion"], both)
    if "base" in lists.rls:
        compared["stability"] = against(lists.rls["tuned"], lists.rls["base"])
    return Measurement(
        cut=segment.cut,
        value=segment.value,
        users=compared["base"].own.users,
        instances=int(np.count_nonzero(among)),
        mrr={name: mean(values) for name, values in mrr.items()},
        rls={stage: mean(values) for stage, values in lists.rls.items()},
        churn=None if lists.churn_M is None else mean(lists.churn_M),
        compared=compared,
    )


@dataclass(frozen=True)
class Odd:
    """Tells which users have odd lists with the candidate, and not with the base model. Shapes [U]."""

    still_U: Mask
    """Lists stand still from one interaction to the next, and those of the base model move."""
    copied_U: Mask
    """Top 10s are all one simple recommender's, or lists all the champion's, and those of the base model are not."""
    strange_U: Mask
    """Lists have next to nothing in common with the base model's, and those under another seed have."""
    excess_U: Floats
    """1 where that is so, -1 where it is so with the base model alone, else 0."""
    excess: Statistic
    """Its mean over users."""

    @property
    def users(self) -> Mask:
        """Returns the users with odd lists, of whatever kind."""
        return self.still_U | self.copied_U | self.strange_U


def odd(evidence: Evidence, by_user: ByUser) -> Odd:
    """Finds the users with odd lists."""
    candidate, base = evidence.candidate, evidence.clean(evidence.group, "base")
    own, other = _copies(evidence, candidate), _copies(evidence, base)
    still = _far_below(_moves(evidence, candidate), _moves(evidence, base))
    copied = np.stack([(own & ~other).any(axis=0), (other & ~own).any(axis=0)])
    strange = _strange(evidence, candidate, base)
    either = np.any([still, copied, strange], axis=0)
    excess_U = either[0].astype(np.float64) - either[1]
    (excess,) = by_user.means([excess_U[evidence.codes] * each_once(by_user)])
    return Odd(still[0], copied[0], strange[0], excess_U, excess)


def _strange(evidence: Evidence, candidate: Listed, base: Listed) -> Mask:
    """Tells of which users candidate and base model agree far less than two seeds do, and the other way round [2, U].

    Nobody is strange where there is no other seed.
    """
    seed = evidence.find("control", "seed", "base")
    if seed is None:
        return np.zeros((2, int(evidence.codes[-1]) + 1), bool)
    clean = evidence.clean(seed.description.group, "base")
    return _far_below(_mean(evidence, rbo(candidate.items, base.items)), _mean(evidence, rbo(clean.items, seed.items)))


def _far_below(own_U: Floats, other_U: Floats) -> Mask:
    """Tells where a user's own number is far below the other one, and the other far below the own [2, U]."""
    return np.stack([own_U < FAR_BELOW * other_U, other_U < FAR_BELOW * own_U])


def _mean(evidence: Evidence, values_M: Floats) -> Floats:
    """Returns each user's mean [U]."""
    return np.bincount(evidence.codes, values_M) / np.bincount(evidence.codes)


def _moves(evidence: Evidence, listed: Listed) -> Floats:
    """Returns how far each user's lists move from one interaction to the next on average [U]; NaN for one alone."""
    values, rows = guards.plasticity(evidence.codes, evidence.position, listed.items)
    user, users = evidence.codes[rows], int(evidence.codes[-1]) + 1
    with np.errstate(invalid="ignore"):
        return np.bincount(user, values, minlength=users) / np.bincount(user, minlength=users)


def _copies(evidence: Evidence, listed: Listed) -> Mask:
    """Tells, for each other model, of which users all lists are that model's [models, U].

    Top 10s of a simple recommender are compared, and whole lists of a champion: whoever keeps its lists on purpose has
    some of its top 10s.
    """
    others = [(each, HEAD) for each in evidence.baselines.values()]
    if (champion := evidence.other("champion")) is not None and evidence.reference == "base":
        others.append((champion, listed.items.shape[1]))
    alike = [
        _mean(evidence, (listed.items[:, :depth] == other.items[:, :depth]).all(axis=1)) == 1 for other, depth in others
    ]
    return np.array(alike, bool).reshape(len(alike), int(evidence.codes[-1]) + 1)
