"""Rule `accuracy`: stability was not bought with accuracy."""

from finest.gate.config import Gate
from finest.gate.evidence import Evidence
from finest.gate.measure import Measured
from finest.gate.outcome import decide, interval, not_applicable
from finest.gate.registry import RULES, rule
from finest.gate.roles import BASE, CANDIDATE
from finest.gate.statistic import Statistic, detectable_drop
from finest.gate.verdict import RuleResult


@RULES.register("accuracy")
@rule(needs=[CANDIDATE, BASE])
def accuracy(evidence: Evidence, measured: Measured, config: Gate) -> list[RuleResult]:
    """Checks that MRR is not inferior to the base model's and the champion's, by ratios over the same draws."""
    results = [
        _ratio(
            "base", "the base model's", measured.mrr["candidate"], measured.mrr["base"], config.max_accuracy_drop_base
        )
    ]
    newer = measured.newer
    if newer is None:
        sentence = "There is no champion to compare accuracy with."
        return [*results, not_applicable("accuracy.champion", sentence, "max_accuracy_drop_champion")]
    if newer.instances == 0:
        sentence = (
            "No instance is after the champion's own cut with a target that both models can rank, so their "
            "accuracy cannot be compared: "
            "judge on newer data, or drop accuracy from gate.rules."
        )
        return [*results, decide("accuracy.champion", False, sentence, option="max_accuracy_drop_champion")]
    whose = f"the champion's on {newer.instances} instances after its cut"
    return [*results, _ratio("champion", whose, newer.candidate, newer.champion, config.max_accuracy_drop_champion)]


def _ratio(name: str, whose: str, candidate: Statistic, other: Statistic, drop: float) -> RuleResult:
    ratio, bound = candidate / other, 1 - drop
    holds = ratio.low >= bound
    sentence = (
        f"MRR is {candidate.value:.4f}, {ratio.value - 1:+.1%} against {whose} ({other.value:.4f}); with 95% "
        "confidence "
        f"{'no more than' if holds else 'not proven to be no more than'} {drop:.0%} lower (lower bound "
        f"{ratio.low - 1:+.1%}). "
        f"The smallest drop that this run could detect is {detectable_drop(ratio):.1%}."
    )
    option = f"max_accuracy_drop_{name}"
    return decide(
        f"accuracy.{name}", holds, sentence, value=ratio.value, bound=bound, interval=interval(ratio), option=option
    )
