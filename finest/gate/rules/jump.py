"""Rule `jump`: a candidate that is too good to be true is for a person to look at."""

import math

from finest.gate.config import Gate
from finest.gate.evidence import Evidence
from finest.gate.measure import Measured
from finest.gate.outcome import at_most, not_applicable
from finest.gate.registry import RULES, rule
from finest.gate.roles import CANDIDATE
from finest.gate.verdict import RuleResult

NIGHTS = 5
"""Least number of past nights that say what is usual for a line."""
TODO = (
    "Such a jump is a leak or a fault more often than a discovery: see whether held-out rows are among the training "
    "rows, and what the day's rows are. If it is real, promote the version by hand (finest models promote --force)."
)


@RULES.register("jump")
@rule(needs=[CANDIDATE])
def jump(evidence: Evidence, measured: Measured, config: Gate) -> list[RuleResult]:
    """Checks that MRR is not proven to be above the champion's by more than `max_jump` beyond all past nights."""
    option, newer, line = "max_jump", measured.newer, measured.trend
    if config.max_jump == "off":
        return [not_applicable("jump", "gate.max_jump is off.", option)]
    if newer is None or line is None or len(line.shown) < NIGHTS or newer.candidate.users < config.min_users:
        return [not_applicable("jump", f"Fewer than {NIGHTS} past nights say what is usual for this line.", option)]
    ratio = (newer.candidate / newer.champion).as_proof()
    most = math.exp(max(line.shown))
    bound = most * (1 + config.max_jump)
    holds = not ratio.low > bound
    sentence = (
        f"MRR is {ratio.value - 1:+.1%} against the champion's, {'not ' if holds else ''}proven to be more than "
        f"{config.max_jump:.0%} beyond the {most - 1:+.1%} that is the most of this line's {len(line.shown)} nights."
    )
    return [at_most("jump", ratio, bound, sentence, option=option, todo=TODO)]
