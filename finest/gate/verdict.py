"""The verdict: one file that says what was measured, which rules held and why."""

import json
import math
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from finest import atomic
from finest.errors import DataError

SCHEMA_VERSION = 1


class Part(BaseModel):
    """Base of the verdict's parts."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


class RuleResult(Part):
    """One rule, or one bound of a rule that has several."""

    rule: str
    """The rule's name in `gate.rules`."""
    name: str
    """What was checked, like `stability.rbo`, unique in a verdict."""
    option: str | None = None
    """The config field of the bound, like `gate.min_rls_rbo`."""
    value: float | None
    bound: float | None
    interval: tuple[float | None, float | None] = (None, None)
    """One-sided 95% bounds, low and high, where the value has them."""
    status: Literal["pass", "fail", "not applicable"]
    sentence: str
    """What that means, in one sentence."""


class Estimate(Part):
    """A mean over instances with its two-sided 90% bootstrap interval (5% each side), clustered by user: not the noise of training."""

    mean: float
    low: float
    high: float


class ScenarioResult(Part):
    """RLS of one probe or control. Keys of the dicts: `rbo`, `frbo`, `jaccard_at_10`, `top1_agreement`."""

    name: str
    role: Literal["probe", "control"]
    group: str
    kind: str | None = None
    edits: int | None = None
    tuned: dict[str, Estimate]
    """With FINEST: the group's tuned clean variant against the tuned one."""
    base: dict[str, Estimate]
    """Without: base against base. Empty where no such lists were given."""
    histogram: dict[str, list[float]]
    """`tuned` and, where given, `base`: shares of instances by rbo in 20 equal bins from 0 to 1."""


class Accuracy(Part):
    """Means over all instances."""

    name: str
    """`candidate`, `base`, `champion`, `popularity`, `repeat_last`."""
    mrr: float
    recall_at_10: float
    ndcg_at_10: float
    coverage_at_10: float
    overlap: float
    """Mean pairwise overlap at 10 between users' lists."""
    popularity_bias: float | None = None
    plasticity: float | None


class Moved(Part):
    """An instance whose list moved much between the clean variant and a probe, for reading."""

    user: str
    position: int
    target: str
    scenario: str
    rbo: float
    rbo_base: float | None
    before: list[str]
    after: list[str]
    before_base: list[str]
    after_base: list[str]
    """Top 10 item ids; the last two empty where no lists without FINEST were given."""


class Verdict(Part):
    """Everything but `cost`, `age` and `ids` is a function of the lists, the config and the seed."""

    schema_version: int = SCHEMA_VERSION
    verdict: Literal["pass", "fail", "skipped"]
    reason: str
    """One line: that all rules held, or the first failed rule's sentence."""
    protocol: str
    """`anchored` or `independent`."""
    given: str
    """What the stability is conditional on: `given shared references`, or empty for independent."""
    reference: str
    """`base` or `champion/<version>`."""
    rules: list[RuleResult] = []
    scenarios: list[ScenarioResult] = []
    accuracy: list[Accuracy] = []
    metrics: dict[str, float] = {}
    """Flat, named as in MLflow: `rls/rbo`, `noise_floor/rbo`, `accuracy/mrr`, ... Finite: what is not a number is left out, and named by
    the rule `sanity`."""
    moved: list[Moved] = []
    notes: list[str] = []
    """What the reader must know: excluded counts, missing champion, what intervals cover."""
    data: dict[str, Any] = {}
    """Fingerprint, instances, catalogue, depth, exclude_seen, seed."""
    cost: dict[str, Any] = {}
    age: dict[str, Any] = {}
    ids: dict[str, Any] = {}


def write(verdict: Verdict, path: Path) -> None:
    """Writes JSON with sorted keys, so that equal verdicts are equal bytes; what is not a finite number becomes null."""
    with atomic.file(path) as partial:
        partial.write_text(as_json(verdict) + "\n", encoding="utf-8")


def as_json(verdict: Verdict) -> str:
    """Returns the verdict as JSON, laid out as in its file."""
    content = _finite(verdict.model_dump(mode="json"))
    return json.dumps(content, indent=2, sort_keys=True, allow_nan=False, ensure_ascii=False)


def read(path: Path) -> Verdict:
    """Reads what `write` wrote."""
    try:
        return Verdict.model_validate_json(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValidationError) as error:
        raise DataError(f"{path}: no verdict that this version of finest can read; run the gate again") from error


def markdown(verdict: Verdict) -> str:
    """The verdict as Markdown tables: the rules, then every scenario between floor and ceiling, then the models."""
    given = f", {verdict.given}" if verdict.given else ""
    parts = [f"**Verdict: {verdict.verdict}.** {verdict.reason}"]
    if verdict.rules:
        rules = [
            [rule.name, _number(rule.value), _number(rule.bound), rule.status, rule.sentence] for rule in verdict.rules
        ]
        parts.append(_table(["rule", "value", "bound", "status", "what that means"], rules))
    if verdict.scenarios:
        parts.append(f"Rank list stability, protocol {verdict.protocol}{given}; reference {verdict.reference}.")
        columns = ["scenario", "similarity", "noise floor", "without FINEST", "with FINEST", "ceiling"]
        parts.append(_table(columns, _scenario_cells(verdict.scenarios)))
    if verdict.accuracy:
        models = [
            [
                model.name,
                *map(
                    _number, (model.mrr, model.recall_at_10, model.ndcg_at_10, model.coverage_at_10, model.plasticity)
                ),
            ]
            for model in verdict.accuracy
        ]
        parts.append(_table(["model", "MRR", "Recall@10", "NDCG@10", "coverage@10", "plasticity"], models))
    if verdict.notes:
        parts.append("\n".join(f"- {note}" for note in verdict.notes))
    return "\n\n".join(parts) + "\n"


def _scenario_cells(scenarios: list[ScenarioResult]) -> list[list[str]]:
    controls = {scenario.name: scenario for scenario in reversed(scenarios) if scenario.role == "control"}
    floor = controls["seed"].base if "seed" in controls else {}
    ceiling = controls["rounding"].tuned if "rounding" in controls else {}
    return [
        [
            scenario.name,
            similarity,
            *(_mean(estimates, similarity) for estimates in (floor, scenario.base, scenario.tuned, ceiling)),
        ]
        for similarity in ("rbo", "jaccard_at_10")
        for scenario in scenarios
    ]


def _mean(estimates: dict[str, Estimate], similarity: str) -> str:
    return _number(estimates[similarity].mean if similarity in estimates else None)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _table(columns: list[str], rows: list[list[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
