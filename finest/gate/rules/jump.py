"""Rule `jump`: a candidate that is too good to be true is for a person to look at."""

import math

from finest.gate.config import Gate
from finest.gate.evidence import Evidence
from finest.gate.measure import Measured
from finest.gate.outcome import at_most, not_applicable
from finest.gate.registry import RULES, rule
from finest.gate.roles import CANDIDATE, TRIVIAL
from finest.gate.statistic import Bounded
from finest.gate.verdict import RuleResult

NIGHTS = 5
"""Least number of past nights that say what is usual for a line."""
UNUSUAL = 0.5
"""What no night of a line that has shown fewer may gain on its champion without a person: half as much again."""
FINE_TUNED = 0.2
"""What fine-tuning, which keeps lists, may bring to the MRR. Measured, on four kinds of data: .6% at most."""
SIMPLE = 3.0
"""How many times the MRR of the best simple recommender a line may begin with. Measured: 1.0 to 1.5."""
LEAK = (
    "Such a jump is a leak or a fault more often than a discovery: see whether held-out rows are among the training "
    "rows, and what the day's rows are. If it is real, promote the version by hand (finest models promote --force)."
)


@RULES.register("jump")
@rule(needs=[CANDIDATE])
def jump(evidence: Evidence, measured: Measured, config: Gate) -> list[RuleResult]:
    """Checks that MRR is not proven to be above the champion's, the base model's and simple ones' beyond what is usual.

    The champion's is held to `max_jump` beyond all past nights once there are some.
    """
    option = "max_jump"
    if config.max_jump == "off":
        return [not_applicable("jump", "gate.max_jump is off.", option)]
    return [_champion(measured, config), _fine_tuned(measured), _simple(measured)]


def _champion(measured: Measured, config: Gate) -> RuleResult:
    newer, line, beyond = measured.newer, measured.trend, float(config.max_jump)
    if newer is None or newer.candidate.users < config.min_users:
        return not_applicable("jump", "There is no champion, or too little to compare with it.", "max_jump")
    ratio = (newer.candidate / newer.champion).as_proof()
    nights = 0 if line is None else len(line.shown)
    most = math.exp(max(line.shown)) if line is not None and nights >= NIGHTS else 1.0
    bound = most * (1 + beyond) if nights >= NIGHTS else 1 + UNUSUAL
    what = (
        f"{beyond:.0%} beyond the {most - 1:+.1%} that is the most of this line's {nights} nights"
        if nights >= NIGHTS
        else f"{UNUSUAL:.0%} above it, where fewer than {NIGHTS} past nights say what is usual for this line"
    )
    sentence = f"MRR is {ratio.value - 1:+.1%} against the champion's, {_proven(ratio, bound)} to be more than {what}."
    return at_most("jump", ratio, bound, sentence, option="max_jump", todo=LEAK)


def _fine_tuned(measured: Measured) -> RuleResult:
    name = "jump.base"
    if "base" not in measured.mrr:
        return not_applicable(name, "There are no lists of the base model.", "max_jump")
    ratio, bound = (measured.mrr["candidate"] / measured.mrr["base"]).as_proof(), 1 + FINE_TUNED
    sentence = (
        f"MRR is {ratio.value - 1:+.1%} against the base model's, {_proven(ratio, bound)} to be more than "
        f"{FINE_TUNED:.0%} above it, which fine-tuning does not bring: it keeps lists."
    )
    return at_most(name, ratio, bound, sentence, option="max_jump", todo=LEAK)


def _simple(measured: Measured) -> RuleResult:
    name, simple = "jump.simple", [one for one in measured.baselines if one not in TRIVIAL]
    if measured.newer is not None:
        return not_applicable(name, "The champion says what is usual.", "max_jump")
    if not simple:
        return not_applicable(name, "No lists of simple recommenders beside the trivial two were given.", "max_jump")
    best = max(measured.baselines, key=lambda one: measured.mrr[one].value)
    ratio = (measured.mrr["candidate"] / measured.mrr[best]).as_proof()
    sentence = (
        f"MRR is {ratio.value:.2f} times that of the best simple recommender ({best}), {_proven(ratio, SIMPLE)} to be "
        f"more than {SIMPLE:g} times it."
    )
    return at_most(name, ratio, SIMPLE, sentence, option="max_jump", todo=LEAK)


def _proven(ratio: Bounded, bound: float) -> str:
    return "proven" if ratio.low > bound else "not proven"
