"""Makes the results by which a rule says what it found."""

from finest.gate.statistic import Bounded, detected, passes
from finest.gate.verdict import Power, RuleResult
from finest.gate.verdict_file import finite

Interval = tuple[float | None, float | None]


def decide(
    name: str,
    holds: bool,
    sentence: str,
    *,
    value: float | None = None,
    bound: float | None = None,
    interval: Interval = (None, None),
    confidence: float | None = None,
    option: str | None = None,
    todo: str = "",
    power: Power | None = None,
) -> RuleResult:
    """Returns the result of a rule that holds or not.

    Args:
        name: The rule's name, or that and what was checked: `stability.rbo`.
        holds: Whether it holds.
        sentence: What was found, in one sentence.
        value: The measured number. It, like all numbers here, is left out where it is not finite.
        bound: What it was held against.
        interval: One-sided bounds of the number.
        confidence: Confidence of each of them.
        option: The key of the rule's config that sets the bound.
        todo: What to do next where it does not hold, in one sentence.
        power: How often it would pass, and what it would detect.
    """
    return RuleResult(
        rule=name.split(".")[0],
        name=name,
        option=option,
        value=finite(value),
        bound=finite(bound),
        interval=(finite(interval[0]), finite(interval[1])),
        confidence=confidence,
        status="pass" if holds else "fail",
        sentence=sentence,
        todo="" if holds else todo,
        power=power,
    )


def at_least(
    name: str,
    measured: Bounded,
    bound: float,
    sentence: str,
    *,
    option: str | None = None,
    low: str = "",
    wide: str = "",
    equal: float | None = None,
    shown: float | None = None,
) -> RuleResult:
    """Returns the result of a rule that holds where the lower bound of a number is not below `bound`.

    Args:
        name: As of `decide`.
        measured: The number with its bounds.
        bound: What the lower bound is held against.
        sentence: What was found.
        option: As of `decide`.
        low: What to do next where the number itself is below the bound.
        wide: What to do next where the number is not below, and its interval is too wide to prove it.
        equal: The true number of a model that is equal to what it is compared with; by default, `measured`'s own.
        shown: What the value is shown as, with bound and interval moved along; by default, as it is.
    """
    moved = 0.0 if shown is None else shown - measured.value
    truth = measured.value if equal is None else equal
    is_low = not measured.value >= bound
    return decide(
        name,
        measured.low >= bound,
        sentence,
        value=measured.value + moved,
        bound=bound + moved,
        interval=(finite(measured.low + moved), finite(measured.high + moved)),
        confidence=measured.confidence,
        option=option,
        todo=low if is_low else wide,
        power=Power(
            equal_passes=finite(passes(measured, bound, truth)),
            detects=finite(max(truth - detected(measured, bound), 0.0)),
            of="level" if equal is None else "equal",
            fails_by=None if measured.low >= bound else "level" if is_low else "interval",
        ),
    )


def at_most(
    name: str, measured: Bounded, bound: float, sentence: str, *, option: str | None = None, todo: str = ""
) -> RuleResult:
    """Returns the result of a rule that holds unless a number is proven to be above `bound`: its lower bound is."""
    return decide(
        name,
        not measured.low > bound,
        sentence,
        value=measured.value,
        bound=bound,
        interval=interval(measured),
        confidence=measured.confidence,
        option=option,
        todo=todo,
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


def interval(statistic: Bounded) -> Interval:
    """Returns the one-sided bounds of a number."""
    return finite(statistic.low), finite(statistic.high)
