"""Checks of the evidence itself, which no set of rules leaves out: copies, and yardsticks that measure nothing.

A file of rank lists says what it is; here that is held against what other files hold. What two trainings give may be
alike, but not the same to the last item and rank, unless it is what they are served with: counts know no seed.
"""

import math
from collections.abc import Iterator
from itertools import combinations

import numpy as np

from finest.gate.config import Gate
from finest.gate.evidence import Evidence
from finest.gate.listed import Listed
from finest.gate.measure import Measured
from finest.gate.outcome import decide
from finest.gate.rls import same
from finest.gate.roles import Slot
from finest.gate.verdict import RuleResult
from finest.gate.verdict_metrics import verdict_metrics
from finest.metrics.accuracy import reciprocal_rank
from finest.metrics.similarity import rbo
from finest.ranklists.schema import TRAINED

HONEST = 0.2
"""Largest relative difference of a control's MRR from clean's that an honest training has: between seeds it is some
percent, and of the smallest data sets with their intervals less than this."""
EDITED = 0.5
"""The same of a probe, whose edits may be large."""


def controlled(evidence: Evidence, measured: Measured, config: Gate) -> list[RuleResult]:
    """Returns whether numbers are numbers, files differ that must, floor and ceiling are honest, and users enough."""
    return [
        _finite(evidence, measured),
        _copies(evidence),
        _yardsticks(evidence, measured),
        _users(evidence, config),
    ]


def _finite(evidence: Evidence, measured: Measured) -> RuleResult:
    files = sorted(str(slot) for slot, listed in evidence.files.items() if not listed.finite)
    numbers = sorted(name for name, value in verdict_metrics(measured).items() if not math.isfinite(value))
    todo = "Look at the loss of these trainings (it diverged, or overflowed), lower the learning rate, train anew."
    if files:
        sentence = f"Scores that are no finite numbers are in the lists of: {'; '.join(files)}."
        return decide("sanity.finite", False, sentence, todo=todo)
    if numbers:
        sentence = f"Metrics that are no finite numbers: {', '.join(numbers)}."
        return decide("sanity.finite", False, sentence, todo=todo)
    return decide("sanity.finite", True, "Every score and every metric is a finite number.")


def _users(evidence: Evidence, config: Gate) -> RuleResult:
    users = int(evidence.codes[-1]) + 1
    enough = users >= config.min_users
    sentence = (
        f"The lists are of {users} users, {'not fewer' if enough else 'fewer'} than the {config.min_users} without "
        "which nothing is decided."
    )
    option, todo = "gate.min_users", "Hold out rows of more users."
    return decide("sanity.users", enough, sentence, value=users, bound=config.min_users, option=option, todo=todo)


def _copies(evidence: Evidence) -> RuleResult:
    found = next(_pairs(evidence), None)
    counts_alone = _counts_alone(evidence)
    if found is None:
        said = (
            "No two trainings of the network have the same lists, and the counts, which are served alone, follow edits."
            if counts_alone
            else "No two trainings, and no two stages of one, have the same lists."
        )
        return decide("sanity.copies", True, said)
    one, other = found
    sentence = (
        f"The lists of ({one}) and of ({other}) are the same, which those of two trainings never are: "
        "one was copied, or both were taken from one model."
    )
    todo = "Look at what wrote them: a cache, or one checkpoint for several variants."
    if other.role == "champion" and all(evidence.files[slot].description.served == "memory" for slot in found):
        sentence = (
            "The candidate's lists are the champion's to the last item: both serve counts alone, which know no seed, "
            "and counted the same rows, or one was copied. There is nothing new to promote."
        )
        todo = "Nothing, where the data are those that the champion was made of; else look at what wrote the lists."
    return decide("sanity.copies", False, sentence, todo=todo)


def _pairs(evidence: Evidence) -> Iterator[tuple[Slot, Slot]]:
    """Yields pairs of files that must differ and do not."""
    files = evidence.files
    trained = [slot for slot in files if slot.role in TRAINED and slot.scenario != "identity"]
    plain = "network" if any(slot.stage == "network" for slot in trained) else "base"
    counts_alone = _counts_alone(evidence)
    for one, other in combinations(trained, 2):
        # A training may be too short for rounding to move a list, but its scores are others.
        alike = same if "rounding" not in (one.scenario, other.scenario) else _same_scores
        if _must_differ(one, other, plain, counts_alone) and alike(files[one], files[other]):
            yield one, other
    candidate = next(slot for slot, listed in files.items() if listed is evidence.candidate)
    for slot, listed in files.items():
        if slot.role not in TRAINED and same(evidence.candidate, listed):
            yield candidate, slot
    probes = [slot for slot in trained if slot.role == "probe" and slot.stage == "base"]
    cleans = {slot.group: slot for slot in trained if slot.role == "clean" and slot.stage == "base"}
    # Counts know no seed, but they know their rows: edits may move no list, but of so many scores some.
    if counts_alone and probes and all(_same_scores(files[cleans[slot.group]], files[slot]) for slot in probes):
        yield cleans[probes[0].group], probes[0]


def _counts_alone(evidence: Evidence) -> bool:
    there = any(slot.role in TRAINED and slot.stage == "network" for slot in evidence.files)
    return there and evidence.candidate.description.served == "memory"


def _same_scores(one: Listed, other: Listed) -> bool:
    return one.digest == other.digest and same(one, other)


def _must_differ(one: Slot, other: Slot, plain: str, counts_alone: bool) -> bool:
    if one.role == other.role == "clean" and one.stage == other.stage:
        return False  # of another group, or under the other protocol: the same training once more
    if counts_alone and not one.stage == other.stage == plain:
        return False  # counts know no seed, and nothing of them is fine-tuned
    if one.stage != other.stage:
        return (one.role, one.scenario, one.group) == (other.role, other.scenario, other.group)
    return one.protocol == other.protocol or one.stage != "tuned"


def _yardsticks(evidence: Evidence, measured: Measured) -> RuleResult:
    says = next(_broken(evidence, measured), None)
    if says is None:
        return decide(
            "sanity.yardsticks", True, "Floor, ceiling and probes are those of honest trainings of this data."
        )
    todo = (
        "Look at its training's log, and train it anew; where the seed alone takes networks so far apart, they are not "
        "trained enough (pretrain.steps: auto)."
    )
    return decide("sanity.yardsticks", False, f"A yardstick is broken: {says}", todo=todo)


def _broken(evidence: Evidence, measured: Measured) -> Iterator[str]:
    """Yields sentences on what no honest training gives."""
    for stage in ("network", "base"):
        seed, own = evidence.find("control", "seed", stage), measured.control("seed", stage)
        if seed is None or own is None or evidence.codes[-1] == 0:
            continue
        other = np.roll(seed.items, len(seed.items) // 2, axis=0)  # by half of all instances: somebody else's lists
        (chance,) = measured.by_user.means([rbo(evidence.clean(seed.description.group, stage).items, other)])
        if (own["rbo"] - chance).high < 0:
            yield (
                f"under another seed, a user's list is less like their own ({own['rbo'].value:.3f}, stage {stage}) "
                f"than like somebody else's ({chance.value:.3f}): the seed control is no training of this data."
            )
    trained = {slot: listed for slot, listed in evidence.files.items() if slot.role in TRAINED}
    means = measured.by_user.means([reciprocal_rank(listed.target_rank) for listed in trained.values()])
    mrr = dict(zip((listed.path for listed in trained.values()), means, strict=True))
    for slot, listed in trained.items():
        clean = mrr[evidence.clean(slot.group, slot.stage, slot.protocol).path]
        if slot.role == "clean" or clean.value == 0:
            continue  # where clean finds nothing, the rules on accuracy have said so
        margin, ratio = HONEST if slot.role == "control" else EDITED, mrr[listed.path] / clean
        if ratio.high < 1 - margin or ratio.low > 1 / (1 - margin):
            yield (
                f"the MRR of ({slot}) is {ratio.value:.2f} times that of the clean variant, and an honest training "
                f"is within {margin:.0%} of it."
            )
