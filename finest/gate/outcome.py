"""How a rule says what it found."""

from finest.gate.statistic import Statistic
from finest.gate.verdict import RuleResult, finite

Interval = tuple[float | None, float | None]


def decide(
    name: str,
    holds: bool,
    sentence: str,
    *,
    value: float | None = None,
    bound: float | None = None,
    interval: Interval = (None, None),
    option: str | None = None,
) -> RuleResult:
    """A rule that holds or not; the rule's own name is the first part of `name`. What is not a finite number is left out."""
    return RuleResult(
        rule=name.split(".")[0],
        name=name,
        option=option,
        value=finite(value),
        bound=finite(bound),
        interval=(finite(interval[0]), finite(interval[1])),
        status="pass" if holds else "fail",
        sentence=sentence,
    )


def not_applicable(name: str, sentence: str, option: str | None = None) -> RuleResult:
    """A rule that has nothing to say here; neither holds the candidate back nor speaks for it."""
    return RuleResult(
        rule=name.split(".")[0],
        name=name,
        option=option,
        value=None,
        bound=None,
        status="not applicable",
        sentence=sentence,
    )


def interval(statistic: Statistic) -> Interval:
    """One-sided 95% bounds."""
    return statistic.low, statistic.high
