"""The gate's test of itself: candidates made of the night's own lists, bad ones and a good one, judged like tonight's.

Every bad one must be refused by a rule that is there for it, and the good one must pass. What this night's data or
config cannot tell is reported as that, by what is measured and not by how the trial ended.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np

from finest.errors import DataError
from finest.gate import power, tampered
from finest.gate.checks import check
from finest.gate.config import Gate
from finest.gate.evidence import Evidence
from finest.gate.listed import Listed
from finest.gate.measure import Measured
from finest.gate.outcome import decide
from finest.gate.registry import RULES
from finest.gate.tampered import Files, Maker, Tonight, places
from finest.gate.twin import twins
from finest.gate.verdict import RuleResult, Trial
from finest.gate.verdict_file import counts
from finest.keys import numpy_generator
from finest.ranklists import agreement
from finest.ranklists.schema import RankLists

Judged = tuple[Measured | None, list[RuleResult]]
"""What was measured of a candidate, None where its files cannot be read, and the checks that refuse it."""
Judge = Callable[[Files], Judged]
Again = Callable[[Evidence, Measured | None], Measured]
"""Measures lists, and takes what two lists have in common from what was measured before."""
Untold = Literal["not configured", "not applicable", "cannot be told"]

MOST = 20_000
"""Most instances that trials are judged on; of more, users are drawn until there are as many."""
READING = "reading"
"""The check of files against themselves and the catalogue, which ends in an error and not in a verdict."""
ALWAYS = ("sanity.copies", "sanity.yardsticks", READING)
"""Checks that no config leaves out."""


@dataclass(frozen=True)
class Bad:
    """Describes a bad candidate."""

    name: str
    did: str
    make: Maker
    meant: Mapping[str, power.Told]
    """The rules or checks that are there for it, and how it is told on which data they must refuse it."""
    instead: Mapping[str, power.Told] = field(default_factory=dict)
    """Others that refuse it too, which are meant where the first are not configured."""


BAD = (
    Bad(
        "popularity",
        "Every variant lists the most popular items for everybody.",
        tampered.popular,
        {"collapse": power.always},
    ),
    Bad(
        "shuffled",
        f"The first {tampered.SHUFFLED} places of every list are shuffled, in every variant anew.",
        tampered.shuffled,
        {"stability": power.stability},
    ),
    Bad(
        "stale",
        f"{tampered.STALE:.0%} of users keep the list of their first instance.",
        tampered.stale,
        {"segments": power.segments},
        {"accuracy": power.accuracy, "frozen.plasticity": power.plasticity},
    ),
    Bad(
        "champion",
        "The candidate is a copy of the champion.",
        tampered.champion_again,
        {"sanity.copies": power.always, READING: power.always},
    ),
    Bad(
        "reference",
        "Every variant is a copy of the model whose lists it was told to keep.",
        tampered.reference_again,
        {"sanity.copies": power.always, READING: power.always},
    ),
    Bad(
        "worse",
        "Every target stands lower, so that MRR is 5% under the base model's, or 2% more than is accepted.",
        tampered.worse,
        {"accuracy": power.accuracy},
    ),
    Bad(
        "segment",
        f"The {tampered.SEGMENT:.0%} of users with the shortest histories get lists of random items.",
        tampered.segment,
        {"segments": power.segments},
        {"accuracy": power.accuracy},
    ),
    Bad("probes", "All probes are one file.", tampered.one_probe, {"sanity.copies": power.always}),
    Bad(
        "seed",
        "The control of another seed lists random items, so that there is no noise floor.",
        tampered.seed_untrained,
        {"sanity.yardsticks": power.yardsticks},
    ),
    Bad(
        "rounding",
        "The control of rounding is a copy of the clean variant.",
        tampered.rounding_frozen,
        {"sanity.copies": power.always},
    ),
)
OFF_BY_ONE = "Target ranks are one too small for the places that the targets stand in."
TWIN = (
    "Every target stands higher than any model has it, in every variant alike, and few of the probes' lists differ "
    "from the clean variant's."
)


def self_test(evidence: Evidence, measured: Measured, config: Gate, again: Again) -> list[Trial]:
    """Judges bad candidates and a good one, all made of the night's lists.

    Args:
        evidence: The night's rank lists.
        measured: What was measured on them.
        config: The rules and their bounds.
        again: Measures other rank lists as the night's were; it may take what is the same from a measurement.
    """
    unlisted = dict.fromkeys(item for item in evidence.target if item not in evidence.vocabulary)
    codes = {item: len(evidence.vocabulary) + place for place, item in enumerate(unlisted)}
    evidence = replace(evidence, vocabulary=evidence.vocabulary | codes)
    drawn = sample(evidence)

    def measuring(of: Evidence, known: Measured | None) -> Measured:
        # How old the data are, and that they are new, is no candidate's merit or fault.
        return replace(again(of, known), age_hours=0.0, fingerprint="of the self-test")

    config = config.model_copy(update={"max_jump": "off"})  # the good candidate is too good to be true
    night = Tonight(drawn, measured if drawn is evidence else measuring(drawn, None), config)

    def judge(files: Files) -> Judged:
        changed = replace(drawn, files=drawn.files | files)
        try:
            found = measuring(changed, night.measured)
        except DataError as error:  # lists of items that are not in the catalogue are not read, whatever is configured
            return None, [decide(READING, False, str(error))]
        return found, [result for result in check(changed, found, config) if result.status == "fail"]

    return [*(_bad(bad, night, judge) for bad in BAD), _off_by_one(night), _good(night, judge)]


def sample(evidence: Evidence, most: int = MOST) -> Evidence:
    """Returns the evidence of as many users, drawn at random, as have `most` instances; all of it where it has less."""
    codes = evidence.codes
    if len(codes) <= most:
        return evidence
    order = numpy_generator("self-test", "users").permutation(int(codes[-1]) + 1)
    chosen = order[: max(1, int(np.searchsorted(np.cumsum(np.bincount(codes)[order]), most, side="right")))]
    rows = np.isin(codes, chosen)

    def of(listed: Listed) -> Listed:
        after_cut = None if listed.after_cut is None else listed.after_cut[rows]
        return replace(listed, items=listed.items[rows], target_rank=listed.target_rank[rows], after_cut=after_cut)

    return replace(
        evidence,
        user=evidence.user[rows],
        position=evidence.position[rows],
        target=evidence.target[rows],
        files={slot: of(listed) for slot, listed in evidence.files.items()},
    )


def _bad(bad: Bad, night: Tonight, judge: Judge) -> Trial:
    """Judges a bad candidate, which a rule that is meant for it must refuse if the night's data show the harm."""
    trial = Trial(name=bad.name, did=bad.did, meant=list(bad.meant), instances=len(night.target), sentence="")
    groups = [
        {check: told for check, told in group.items() if configured(check, night.config)}
        for group in (bad.meant, bad.instead)
    ]
    asked = groups[0] or groups[1]
    if not asked:
        return _untold(trial, "not configured", f"gate.rules has none of: {', '.join([*bad.meant, *bad.instead])}")
    trial = trial.model_copy(update={"meant": list(asked)})
    files = bad.make(night)
    if isinstance(files, str):
        return _untold(trial, "not applicable", files)
    measured, failed = judge(files)
    trial = trial.model_copy(update={"refused_by": [result.name for result in failed]})
    reasons = [told(night, measured) if measured else "" for told in asked.values()]
    if all(reasons):
        return _untold(trial, "cannot be told", "; and ".join(reasons))
    return _outcome(trial)


def _off_by_one(night: Tonight) -> Trial:
    """Holds ranks that are one too small against the lists, as whoever reads a file does."""
    trial = Trial(name="off by one", did=OFF_BY_ONE, meant=[READING], instances=len(night.target), sentence="")
    listed, evidence = night.evidence.candidate, night.evidence
    place = places(listed.items, night.target)
    if not (place > 0).any():
        return _untold(trial, "not applicable", "no target stands in a list below its first place")
    length = np.count_nonzero(listed.items >= 0, axis=1)
    scores = np.where(listed.items >= 0, -np.arange(listed.items.shape[1], dtype=np.float32), np.float32(np.nan))
    names = np.array(list(evidence.vocabulary), dtype=object)
    refused = []
    for less in (0, 1):
        rank = np.where(place >= 0, np.maximum(place + 1 - less, 1), np.maximum(listed.target_rank, length + 1))
        lists = RankLists(
            evidence.user, evidence.position, evidence.target, rank, listed.items, scores, names, listed.description
        )
        try:
            agreement.check(Path(OFF_BY_ONE), lists, evidence.vocabulary)
        except DataError:
            refused.append(less)
    trial = trial.model_copy(update={"refused_by": [READING] if 1 in refused else []})
    if 0 in refused:
        return _untold(trial, "cannot be told", "the lists as they are would not be read either")
    return _outcome(trial)


def _good(night: Tonight, judge: Judge) -> Trial:
    """Judges good candidates until one passes."""
    trial = Trial(name="twin", did=TWIN, good=True, instances=len(night.target), sentence="")
    refusals = []
    for files in twins(night):
        _, failed = judge(files)
        if not failed:
            return _outcome(trial)
        refusals.append(failed)
    failed = min(refusals, key=len)
    trial = trial.model_copy(update={"refused_by": [result.name for result in failed]})
    tonight = {(result.name, result.sentence) for result in check(night.evidence, night.measured, night.config)}
    if all(
        result.value is None or (result.rule == "sanity" and (result.name, result.sentence) in tonight)
        for result in failed
    ):  # nothing was measured that a better candidate would have more of
        return _untold(trial, "cannot be told", f"what refuses it is not of its making: {failed[0].sentence}")
    if foreign := [result.rule for result in failed if not _ours(result.rule)]:
        return _untold(trial, "cannot be told", f"no good candidate is known for rules of other packages: {foreign[0]}")
    option = f" [{failed[0].option}]" if failed[0].option else ""
    return _outcome(trial, f"{failed[0].name}{option}: {failed[0].sentence}")


def configured(check: str, config: Gate) -> bool:
    """Tells whether a rule or check is asked under `config`."""
    return check in ALWAYS or check.split(".")[0] in {options.name for options in config.rules}


def _ours(rule: str) -> bool:
    return rule in ("sanity", READING) or RULES[rule].decide.__module__.startswith("finest.")


def _untold(trial: Trial, why: Untold, sentence: str) -> Trial:
    return trial.model_copy(
        update={"untold": why, "sentence": f"{sentence[0].upper()}{sentence[1:].removesuffix('.')}."}
    )


def _outcome(trial: Trial, by: str = "") -> Trial:
    """Adds the sentence on an outcome that counts."""
    refused, meant = " and ".join(trial.refused_by) or "nothing", " or ".join(trial.meant)
    if trial.good:
        says = "It passed." if trial.held else f"under the configured bounds nothing can pass. {trial.did} {by}"
    elif trial.held:
        says = f"Refused by {refused}."
    else:
        says = (
            f"a bad candidate of its own making, {trial.name}, is not refused by {meant}, which must refuse it (but by "
            f"{refused}). {trial.did} Look at that rule and its bounds."
        )
    return trial.model_copy(update={"sentence": says})


def self_tested(trials: Sequence[Trial], instances: int) -> Iterator[str]:
    """Yields notes: in how many trials the gate did what it must, and what could not be told.

    Args:
        trials: All trials.
        instances: Number of the night's instances.
    """
    if not trials:
        return
    numbers = counts(trials)
    good = next(trial for trial in trials if trial.good)
    passed = {"ok": "passed a good one", "broken": "refused a good one too"}.get(good.status, "was shown no good one")
    yield (
        f"The gate refused {numbers['selftest/refused']:.0f} of {numbers['selftest/trials']:.0f} bad candidates of its "
        f"own making and {passed}{'' if good.instances == instances else f', on {good.instances} of the instances'}."
    )
    for trial in trials:
        if trial.untold in ("cannot be told", "not configured"):
            yield f"Weakness of this night, {trial.name}: {trial.did} {trial.untold.capitalize()}: {trial.sentence}"
