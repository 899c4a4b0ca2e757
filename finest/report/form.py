"""How numbers are written for people, and which columns tables have."""

import json
import math
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple, assert_never

from finest.gate.verdict import Accuracy, Estimate, RuleResult, ScenarioResult
from finest.metrics.registry import METRICS, SIMILARITIES, Form, Shown

ODDS = ("equal passes", "drop seen in 80%")
"""Headings of `odds`."""
Write = Callable[[float | None], str]


class Column(NamedTuple):
    """Holds a registered metric's column of a table of models."""

    name: str
    heading: str
    form: Form

    def text(self, model: Accuracy, number: Write, percent: Write) -> str:
        """Returns a model's cell, written by one of two functions."""
        value = model.metrics.get(self.name)
        match self.form:
            case "number":
                return number(value)
            case "percent":
                return percent(value)
            case other:
                assert_never(other)


def metric_columns(models: Iterable[Accuracy]) -> list[Column]:
    """Returns the columns of all metrics that any of the models has.

    Those that are not registered here, in a verdict of another installation, come last, headed by their names.
    """
    there = {name for model in models for name in model.metrics}
    known = [name for name in METRICS if name in there]
    columns = [Column(name, METRICS[name].heading, METRICS[name].form) for name in known]
    return columns + [Column(name, name, "number") for name in sorted(there.difference(known))]


def similarity_columns(scenarios: Iterable[ScenarioResult], *shown: Shown) -> dict[str, str]:
    """Returns the headings, by name, of the list similarities that scenarios have and that are shown like that.

    Those that are not registered here, in a verdict of another installation, come last, headed by their names.
    """
    there = {name for scenario in scenarios for name in scenario.tuned}
    known = [name for name in SIMILARITIES if name in there]
    columns = {name: SIMILARITIES[name].label for name in known if SIMILARITIES[name].shown in shown}
    return columns | {name: name for name in sorted(there.difference(known))}


def stage_columns(scenarios: Iterable[ScenarioResult]) -> dict[str, str]:
    """Returns the headings of a scenario's results by their names, from the plain network to what users see."""
    alone = {"network": "network alone"} if any(scenario.network for scenario in scenarios) else {}
    return {**alone, "base": "without FINEST", "tuned": "with FINEST"}


def yardsticks(scenarios: Iterable[ScenarioResult]) -> tuple[dict[str, Estimate], dict[str, Estimate]]:
    """Returns noise floor and ceiling: what another seed, and rounding, leave of the network alone; {} where unknown.

    Of several groups' controls, the first ones count.
    """
    plain = {scenario.name: scenario.plain for scenario in reversed([*scenarios]) if scenario.role == "control"}
    return plain.get("seed", {}), plain.get("rounding", {})


def failed_first(results: Iterable[RuleResult]) -> list[RuleResult]:
    """Returns the rules' results as people read them: what failed before what held, else as configured."""
    return sorted(results, key=lambda result: result.status != "fail")


def explained(result: RuleResult) -> str:
    """Returns what a rule found and, where it failed, by what and what to do next."""
    return " ".join(filter(None, [result.sentence, result.todo and f"Next: {result.todo}"]))


def odds(result: RuleResult) -> tuple[str, str]:
    """Returns how often a rule that tests a number passes an equal model, and which drop it refuses in 80% of nights.

    Where there is no other model to be equal to, a model of tonight's level is meant.
    """
    power = result.power
    if power is None or power.equal_passes is None or power.detects is None:
        return "", ""
    return f"{power.equal_passes:.0%}", number(power.detects)


def churn(metrics: Mapping[str, float]) -> str:
    """Returns in a sentence how far users see their lists change; '' without a champion.

    >>> churn({"churn/rbo": 0.7042, "churn_reseeded/rbo": 0.64})
    'Users keep 0.704 of what they see (mean rbo with the champion); 0.640 by another seed without FINEST.'
    """
    if "churn/rbo" not in metrics:
        return ""
    fresh = metrics.get("churn_reseeded/rbo")
    beside = "" if fresh is None else f"; {number(fresh)} by another seed without FINEST"
    return f"Users keep {number(metrics['churn/rbo'])} of what they see (mean rbo with the champion){beside}."


def rls(metrics: Mapping[str, float]) -> str:
    """Returns in a sentence how stable lists are; '' without scenarios.

    >>> rls({"rls/rbo": 0.8981, "rls_unstabilised/rbo": 0.856})
    'Under small edits of the data users keep 0.898 of their lists (RLS, mean rbo); 0.856 without FINEST.'
    """
    if "rls/rbo" not in metrics:
        return ""
    plain = metrics.get("rls_unstabilised/rbo")
    beside = "" if plain is None else f"; {number(plain)} without FINEST"
    kept = number(metrics["rls/rbo"])
    return f"Under small edits of the data users keep {kept} of their lists (RLS, mean rbo){beside}."


def number(value: float | None, absent: str = "\N{EN DASH}") -> str:
    """Returns a number with three decimals around 1, one more below, fewer above and for counts; `absent` for None."""
    if value is None:
        return absent
    if math.isfinite(value) and abs(value) >= 2:
        digits = 0 if abs(value) >= 100 or value == round(value) else 1 if abs(value) >= 10 else 3
    else:
        digits = 4 if 0 < abs(value) < 0.1 else 3
    return f"{value:,.{digits}f}".replace("-", "\N{MINUS SIGN}")


def percent(value: float | None, absent: str = "\N{EN DASH}") -> str:
    """Returns a share in percent, with one decimal; `absent` for None."""
    if value is None:
        return absent
    return f"{value:.1%}".replace("-", "\N{MINUS SIGN}")


def signed(value: float) -> str:
    """Returns a relative change in percent, with its sign."""
    return f"{value:+.1%}".replace("-", "\N{MINUS SIGN}")


def minute(moment: str) -> str:
    """Returns an ISO 8601 time in UTC, to the minute.

    >>> minute("2026-11-24T23:10:45.5+00:00")
    '2026-11-24 23:10 UTC'
    """
    return f"{datetime.fromisoformat(moment).astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def text(value: Any) -> str:
    """Returns a value of the verdict's free-form dicts as text."""
    if isinstance(value, str):
        return value
    return number(value) if isinstance(value, float) else json.dumps(value)
