"""Rule `trend`: a candidate is not below the last champions of its line, though every night let a little pass."""

import math

from finest.gate.config import Gate
from finest.gate.evidence import Evidence
from finest.gate.measure import Measured
from finest.gate.monitor import CLEARED, Trend
from finest.gate.outcome import decide, not_applicable
from finest.gate.registry import RULES, rule
from finest.gate.roles import CANDIDATE
from finest.gate.verdict import RuleResult

MUCH = 10_000
"""Evidence above which its size says nothing more to people."""


@RULES.register("trend")
@rule(needs=[CANDIDATE])
def trend(evidence: Evidence, measured: Measured, config: Gate) -> list[RuleResult]:
    """Checks the evidence of a decline, by the nightly ratios of MRR along the line's promotions."""
    option, found = "false_alarm_nights", measured.trend
    if evidence.other("champion") is None:
        return [not_applicable("trend", "There is no champion, so no line to follow.", option)]
    if found is None:
        sentence = (
            "There is no history of nights, or nothing to compare with the champion on, so no decline would show."
        )
        return [not_applicable("trend", sentence, option)]
    bound = found.bound(config.false_alarm_nights)
    holds = found.evidence < bound
    sentence = f"{_standing(found)}; {_decision(found, bound, config.false_alarm_nights)}."
    todo = "" if holds else _advice(found)
    return [decide("trend", holds, sentence, value=found.evidence, bound=bound, option=option, todo=todo)]


def _standing(found: Trend) -> str:
    ratios = f"the ratios of {found.nights} nights" if found.nights > 1 else "tonight's ratio"
    which = (
        f"the one of the last {found.champions} since which a decline is likeliest"
        if found.champions > 1
        else "the only one that the history reaches"
    )
    return (
        f"By {ratios}, the candidate's MRR is {math.expm1(found.log_ratio):+.1%} (standard error "
        f"{found.standard_error:.1%}) against {_champion(found)}, {which}"
    )


def _champion(found: Trend) -> str:
    return f"champion version {found.since.champion}" if found.since.champion else "a champion"


def _decision(found: Trend, bound: float, nights: float) -> str:
    half = (
        f" ({CLEARED:.0%} of {nights:g} until a candidate is promoted, since one was refused)" if found.alarmed else ""
    )
    under = "under" if found.evidence < bound else "not under"
    evidence = f"{found.evidence:.1f}" if found.evidence < MUCH else f"over {MUCH:,}"
    return f"the evidence of a decline, {evidence}, is {under} {bound:g}{half}"


def _advice(found: Trend) -> str:
    version, since = found.since.champion, f" since {found.since.as_of[:10]}" if found.since.as_of else " since"
    if found.nights == 1:
        return "Look what changed since that champion was trained."
    back = f"Go back to it (finest models promote {version})" if version else "Go back to it"
    return f"{back}, and look what changed{since}."
