"""The verdict as Markdown, as MLflow and the model card show it."""

import re

from finest.gate.verdict import Estimate, ScenarioResult, Verdict
from finest.report.form import (
    ODDS,
    churn,
    explained,
    failed_first,
    metric_columns,
    odds,
    rls,
    similarity_columns,
    stage_columns,
    yardsticks,
)


def text(value: str) -> str:
    r"""Returns what came from outside as text of one line that no reader of Markdown takes for markup.

    >>> text("![x](http://evil) `a` <b>")
    '!\\[x\\](http://evil) \\`a\\` \\<b>'
    """
    one = re.sub(r"[\s\x00-\x1f\x7f-\x9f]+", " ", value)
    return re.sub(r"([\\|<`*\[\]&])", r"\\\1", one)


def markdown(verdict: Verdict) -> str:
    """Returns the verdict as Markdown tables: the rules, every scenario between floor and ceiling, then the models."""
    given = f", {verdict.given}" if verdict.given else ""
    parts = [
        f"**Verdict: {verdict.verdict}.** {text(verdict.reason)}",
        *filter(None, [churn(verdict.metrics), rls(verdict.metrics)]),
    ]
    if verdict.rules:
        rules = [
            [rule.name, _number(rule.value), _number(rule.bound), rule.status, *odds(rule), explained(rule)]
            for rule in failed_first(verdict.rules)
        ]
        parts.append(_table(["rule", "value", "bound", "status", *ODDS, "what that means"], rules))
    if verdict.scenarios:
        said = f"Rank list stability, protocol {verdict.protocol}{given}; reference {verdict.reference}."
        parts.append(text(said))
        columns = ["scenario", "similarity", "noise floor", *stage_columns(verdict.scenarios).values(), "ceiling"]
        parts.append(_table(columns, _scenario_cells(verdict.scenarios)))
    if verdict.accuracy:
        metrics = metric_columns(verdict.accuracy)
        models = [
            [
                model.name,
                *(column.text(model, _number, _percent) for column in metrics),
                *map(_number, (model.coverage_at_10, model.plasticity)),
            ]
            for model in verdict.accuracy
        ]
        headings = [column.heading for column in metrics]
        parts.append(_table(["model", *headings, "coverage@10", "plasticity"], models))
    if verdict.notes:
        parts.append("\n".join(f"- {text(note)}" for note in verdict.notes))
    return "\n\n".join(parts) + "\n"


def _scenario_cells(scenarios: list[ScenarioResult]) -> list[list[str]]:
    (floor, ceiling), stages = yardsticks(scenarios), stage_columns(scenarios)
    return [
        [
            scenario.name,
            similarity,
            *(
                _mean(estimates, similarity)
                for estimates in (floor, *(getattr(scenario, stage) for stage in stages), ceiling)
            ),
        ]
        for similarity in similarity_columns(scenarios, "everywhere")
        for scenario in scenarios
    ]


def _mean(estimates: dict[str, Estimate], similarity: str) -> str:
    return _number(estimates[similarity].mean if similarity in estimates else None)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _percent(value: float | None) -> str:
    return "" if value is None else f"{value:.2%}"


def _table(columns: list[str], rows: list[list[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *([text(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
