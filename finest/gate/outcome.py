"""Makes the results by which a rule says what it found."""

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
    """Returns the result of a rule that holds or not.

    Args:
        name: The rule's name, or that and what was checked: `stability.rbo`.
        holds: Whether it holds.
        sentence: What was found, in one sentence.
        value: The measured number. It, like all numbers here, is left out where it is not finite.
        bound: What it was held against.
        interval: One-sided 95% bounds of the number.
        option: The key of the rule's config that sets the bound.
    """
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
    """Returns the result of a rule that has nothing to say here.

    It neither holds the candidate back nor speaks for it.
    """
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
    """Returns the one-sided 95% bounds of a statistic."""
    return statistic.low, statistic.high
