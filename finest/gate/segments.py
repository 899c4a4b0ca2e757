"""What the candidate does to each segment of the instances, and which users have odd lists.

Shapes: M instances, U users.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from finest.gate.cuts import Mask, Segment, segments
from finest.gate.evidence import Evidence
from finest.gate.listed import Listed
from finest.gate.rls import ByUser, Compared, Pairs
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


NEAR = 0.9
"""Share of places with the same items from which on a list is another one but for some changes."""


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
    comparable_M: Mask
    """Whether candidate and champion can be compared there; nowhere without a champion."""
    rls: dict[str, Floats]
    """Mean rbo over the probes, by stage: `tuned` and maybe `base`; empty without probes."""
    churn_M: Floats | None
    """Rbo with the champion's list."""


def by_segment(
    evidence: Evidence,
    by_user: ByUser,
    probes: list[Compared],
    least: int,
    data: Path | None,
    comparable_M: Mask,
) -> list[Measurement]:
    """Measures everyone, by instance and by user, and every segment; nothing where there are no base lists.

    Args:
        evidence: The rank lists.
        by_user: What means are computed by.
        probes: The probes, compared with their clean variants.
        least: Number of users that the bins at both ends of a cut have at least.
        data: Folder that ingest wrote.
        comparable_M: Where candidate and champion can be compared; nowhere without a champion.
    """
    if evidence.find("clean", None, "base", evidence.group) is None:
        return []
    lists = _lists(evidence, by_user, probes, comparable_M)
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


def _lists(evidence: Evidence, by_user: ByUser, probes: list[Compared], comparable_M: Mask) -> Lists:
    candidate, champion = evidence.candidate, evidence.other("champion")
    models = {"candidate": candidate, "base": evidence.clean(evidence.group, "base"), "champion": champion}
    stages = [stage for stage in ("tuned", "base") if probes and all(stage in probe.values for probe in probes)]
    return Lists(
        by_user=by_user,
        mrr={name: reciprocal_rank(listed.target_rank) for name, listed in models.items() if listed is not None},
        comparable_M=comparable_M,
        rls={stage: np.mean([probe.values[stage]["rbo"] for probe in probes], axis=0) for stage in stages},
        churn_M=rbo(candidate.items, champion.items) if champion else None,
    )


def comparable(evidence: Evidence, champion: Listed, counts: npt.NDArray[np.int64] | None) -> Mask:
    """Tells where candidate and champion can be compared [M].

    That is after the champion's cut, where the champion can rank the target and today's catalogue has it. A target of
    today's catalogue that the candidate does not rank is one that it does not find.

    Args:
        evidence: The rank lists.
        champion: The champion's.
        counts: Training interactions by code, -1 outside today's catalogue; None where it is not known, and a target
            may be in it wherever the champion can rank it.
    """
    after = np.ones(len(champion.items), bool) if champion.after_cut is None else champion.after_cut
    both = after & ~np.isnan(champion.target_rank)
    if counts is None:
        return both
    gone = {item: counts[code] < 0 for item, code in evidence.vocabulary.items()}
    in_catalogue = np.array([not gone.get(item, True) for item in evidence.target], bool)
    return both & (in_catalogue | ~np.isnan(evidence.candidate.target_rank))


def _measured(segment: Segment, lists: Lists, weights_M: Floats | None = None) -> Measurement:
    """Measures a segment, in which an instance counts by its weight; by default, all alike."""
    among, mrr = segment.among_M, lists.mrr
    weights_M = np.ones(len(among)) if weights_M is None else weights_M

    def mean(values_M: Floats) -> float:
        return float((values_M * weights_M)[among].mean())

    def against(own_M: Floats, other_M: Floats, where_M: Mask = among) -> Against:
        return Against(*lists.by_user.means([own_M * weights_M, other_M * weights_M], where_M))

    compared: dict[Kind, Against] = {"base": against(mrr["candidate"], mrr["base"])}
    if (both := among & lists.comparable_M).any():
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
    """Tells which users and instances have odd lists with the candidate, and not with the base model."""

    still_U: Mask
    """Lists stand still from one interaction to the next, and those of the base model move."""
    strange_U: Mask
    """Lists have next to nothing in common with the base model's, and those under another seed have."""
    copied_M: Mask
    """A list is somebody else's (a simple recommender's top 10, or the champion's whole list) or the same user's one
    before, and that of the base model is not."""
    excess_U: Floats
    """Share of a user's lists that are odd, less the share of those that are so with the base model alone."""
    excess: Statistic
    """Its mean over users."""
    apart_U: Mask | None
    """Lists have next to nothing in common with the champion's, and those under another seed have; None where there is
    no champion, or no other seed. A fault that the base model shares shows here alone."""


def odd(evidence: Evidence, by_user: ByUser, pairs: Pairs) -> Odd:
    """Finds the users and lists that are odd."""
    candidate, base, champion = evidence.candidate, evidence.clean(evidence.group, "base"), evidence.other("champion")
    own, other = _copies(evidence, candidate), _copies(evidence, base)
    copied = np.stack([(own & ~other).any(axis=0), (other & ~own).any(axis=0)])
    still = _far_below(_moves(evidence, candidate), _moves(evidence, base))
    seeds_U = _between_seeds(evidence, pairs, "base")
    if seeds_U is None:
        strange = np.zeros_like(still)
    else:
        strange = _far_below(_mean(evidence, pairs.values(candidate, base)["rbo"]), seeds_U)
    either = np.maximum(still | strange, [_mean(evidence, each.astype(np.float64)) for each in copied])
    excess_U = either[0] - either[1]
    (excess,) = by_user.means([excess_U[evidence.codes] * each_once(by_user)])
    counts_alone = candidate.description.served == "memory"  # which know no seed: the network's says what is usual
    usual_U = _between_seeds(evidence, pairs, "network") if counts_alone else seeds_U
    apart_U = None
    if champion is not None and usual_U is not None:
        apart_U = _far_below(_mean(evidence, pairs.values(candidate, champion)["rbo"]), usual_U)[0]
    return Odd(still[0], strange[0], copied[0], excess_U, excess, apart_U)


def _between_seeds(evidence: Evidence, pairs: Pairs, stage: str) -> Floats | None:
    """Returns each user's mean rbo between two seeds [U]; None where there is no other seed."""
    seed = evidence.find("control", "seed", stage)
    if seed is None:
        return None
    return _mean(evidence, pairs.values(evidence.clean(seed.description.group, stage), seed)["rbo"])


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
    """Tells, for each way to copy, which lists are copies [ways, M].

    Of a simple recommender the top 10 is compared; of a champion most places, or the whole list where the candidate was
    told to keep it; and of the same user's list before this one, the whole.
    """
    alike = [(listed.items[:, :HEAD] == each.items[:, :HEAD]).all(axis=1) for each in evidence.baselines.values()]
    if (champion := evidence.other("champion")) is not None:
        places, least = listed.items >= 0, NEAR if evidence.reference == "base" else 1
        same = places & (listed.items == champion.items)
        alike.append(same.sum(axis=1) >= least * np.maximum(places.sum(axis=1), 1))
    before = (listed.items[1:] == listed.items[:-1]).all(axis=1) & (evidence.codes[1:] == evidence.codes[:-1])
    return np.array([*alike, np.r_[False, before]], bool)
