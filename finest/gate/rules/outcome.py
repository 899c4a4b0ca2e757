"""How a rule says what it found."""

import math

from finest.gate.sample import Sample
from finest.gate.verdict import RuleResult

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
        option=f"gate.{option}" if option else None,
        value=_finite(value),
        bound=_finite(bound),
        interval=(_finite(interval[0]), _finite(interval[1])),
        status="pass" if holds else "fail",
        sentence=sentence,
    )


def not_applicable(name: str, sentence: str, option: str | None = None) -> RuleResult:
    """A rule that has nothing to say here; neither holds the candidate back nor speaks for it."""
    full = f"gate.{option}" if option else None
    return RuleResult(
        rule=name.split(".")[0],
        name=name,
        option=full,
        value=None,
        bound=None,
        status="not applicable",
        sentence=sentence,
    )


def interval(sample: Sample) -> Interval:
    """One-sided 95% bounds."""
    return sample.low, sample.high


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
