"""The report: the verdict as one self-contained HTML file, pictures first."""

from pathlib import Path
from typing import Any

import pyarrow as pa
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from finest import atomic
from finest.gate.statistic import sure
from finest.gate.verdict import Accuracy, Estimate, ScenarioResult, Served, Verdict
from finest.perturb.registry import EDITS
from finest.report import charts, data, moved
from finest.report.form import (
    ODDS,
    Column,
    failed_first,
    metric_columns,
    minute,
    number,
    odds,
    percent,
    signed,
    similarity_columns,
    stage_columns,
    text,
    yardsticks,
)
from finest.report.segments import table
from finest.training.history import terms_of

PANELS = {"rbo": "rank-biased overlap (rbo), the headline", "jaccard_at_10": "Jaccard of the top 10"}
"""Similarities that have a chart, and its title."""
SERVED = {"network": "the network alone", "memory": "counts alone", "stack": "network and counts together"}
"""Ways to serve a model, in words."""
STAGES = {"pretrain": "Pretraining", "finetune": "FINEST fine-tuning", "lists": "Rank lists"}
STAGE_COLOURS = {"pretrain": charts.OTHER, "finetune": charts.WITH, "lists": charts.LINE}


def render(verdict: Verdict, histories: dict[str, pa.Table], out: Path, title: str, profile: str | None = None) -> None:
    """Writes the report to `out`. Equal input gives equal bytes.

    `histories` maps a variant to its training history (`finest.training.history`). Without histories or without
    `verdict.cost`, as for rank lists of another trainer, those sections are left out; a skipped verdict has its reason,
    what its data is like, and ids. `profile`: the page of a profiled run.
    """
    here = Path(__file__).parent
    environment = Environment(loader=FileSystemLoader(here), autoescape=True, undefined=StrictUndefined)
    environment.trim_blocks = environment.lstrip_blocks = True
    filters: dict[str, Any] = {"number": number, "percent": percent, "signed": signed, "text": text, "minute": minute}
    filters |= {"failed_first": failed_first, "odds": odds, "sure": sure}
    environment.filters |= filters
    page = environment.get_template("report.html.j2").render(
        title=title,
        style=Markup((here / "report.css").read_text()),
        verdict=verdict,
        odds_headings=ODDS,
        counts={
            status: sum(rule.status == status for rule in verdict.rules)
            for status in ("pass", "fail", "not applicable")
        },
        figures=key_figures(verdict),
        served=served(verdict.served),
        stability=stability(verdict),
        histograms=histograms(verdict),
        accuracy=accuracy(verdict),
        segments=table(verdict.segments),
        compared=data.table(verdict.compared),
        curves=training_curves(histories),
        cost=cost(verdict.cost),
        profile=profile,
        moved=moved.cards(verdict.moved),
        done={kind: done for result in verdict.scenarios if (kind := result.kind) and (done := _done(kind))},
    )
    with atomic.file(out) as partial:
        partial.write_text(page, encoding="utf-8")


def _done(kinds: str) -> str:
    """Returns what becomes of the interactions that a scenario edits; empty where nobody here knows.

    >>> _done("deletion and insertion"), _done("of another package")
    ('deleted, inserted', '')
    """
    return ", ".join(EDITS[kind].done for kind in kinds.split(" and ") if kind in EDITS)


def key_figures(verdict: Verdict) -> list[dict[str, str]]:
    """Returns the headline's tiles: label, value, and what to compare it with."""
    metrics = verdict.metrics
    models = {model.name: model for model in verdict.accuracy}
    tiles = []
    if "churn/rbo" in metrics:
        value, below = number(metrics["churn/rbo"]), "1 = users see the same lists"
        if "churn_reseeded/rbo" in metrics:
            below = f"{number(metrics['churn_reseeded/rbo'])} by another seed without FINEST"
        tiles.append({"label": "Similarity to the champion", "value": value, "below": below})
    rls = metrics.get("rls/rbo")
    floor, ceiling = metrics.get("noise_floor/rbo"), metrics.get("ceiling/rbo")
    before = {
        words: metrics[name]
        for name, words in (("rls_unstabilised/rbo", "without FINEST"), ("rls_network/rbo", "the network alone"))
        if name in metrics
    }
    if rls is not None:
        below = ", ".join(f"{number(value)} {words}" for words, value in before.items())
        tiles.append({"label": "List stability (RLS)", "value": number(rls), "below": below})
    if rls is not None and floor is not None and ceiling is not None and ceiling > floor:
        share = {words: (value - floor) / (ceiling - floor) for words, value in before.items()}
        below = ", ".join(f"{value:.0%} {words}" for words, value in share.items())
        tiles.append(
            {"label": "Way from floor to ceiling", "value": f"{(rls - floor) / (ceiling - floor):.0%}", "below": below}
        )
    if "rls_reseeded/rbo" in metrics:
        plain = "the network alone, " if "rls_network/rbo" in metrics else ""
        below = "" if floor is None else f"{number(floor)} {plain}without FINEST"
        tiles.append(
            {"label": "Retrained with another seed", "value": number(metrics["rls_reseeded/rbo"]), "below": below}
        )
    candidate, base = models.get("candidate"), models.get("base")
    if candidate:
        label, value, below = "Accuracy (MRR)", number(mrr(candidate)), ""
        if base and mrr(base):
            label, value = "Accuracy (MRR) against base", signed(mrr(candidate) / mrr(base) - 1)
            below = f"{number(mrr(candidate))} against {number(mrr(base))}"
        tiles.append({"label": label, "value": value, "below": below})
        below = f"{percent(base.coverage_at_10)} by the base model" if base else ""
        tiles.append(
            {"label": "Items shown (coverage at 10)", "value": percent(candidate.coverage_at_10), "below": below}
        )
    return tiles


def served(found: Served | None) -> list[dict[str, Any]]:
    """Returns the rows of the table of ways to serve: words, MRR, change against the network, whether it was chosen."""
    if found is None:
        return []
    network = found.mrr["network"]
    return [
        {
            "words": words,
            "mrr": found.mrr[way],
            "change": signed(found.mrr[way] / network - 1) if network and way != "network" else "\N{EN DASH}",
            "chosen": way == found.chosen,
        }
        for way, words in SERVED.items()
    ]


def stability(verdict: Verdict) -> dict[str, Any]:
    """Returns dumbbell charts and their table: probes first, then the controls that have a meaning of their own."""
    shown = [scenario for scenario in verdict.scenarios if scenario.name != "identity"]
    shown.sort(key=lambda scenario: scenario.role == "control")
    floor, ceiling = yardsticks(verdict.scenarios)
    panels = []
    for similarity, words in PANELS.items():
        rows = [row_of(scenario, similarity) for scenario in shown]
        if rows:
            low, high = (
                charts.Mark(label, of[similarity].mean) if of else None
                for label, of in (("noise floor", floor), ("ceiling", ceiling))
            )
            alt = f"Stability by {words}. {' '.join(map(told, rows))}"
            svg = charts.dumbbells(f"stability-{similarity}", alt, rows, low, high)
            panels.append({"title": words, "svg": svg})
    start = "rls_independent/rbo/"
    independent = {name.removeprefix(start): value for name, value in verdict.metrics.items() if name.startswith(start)}
    return {
        "panels": panels,
        "rows": verdict.scenarios,
        "similarities": similarity_columns(verdict.scenarios, "everywhere", "report"),
        "independent": independent,
        "stages": stage_columns(verdict.scenarios),
        "floor": floor,
        "ceiling": ceiling,
    }


def row_of(scenario: ScenarioResult, similarity: str) -> charts.Row:
    """Returns a scenario's lane, under its name and, for a control, what it does."""
    controls = {"seed": "seed: data untouched, another seed", "rounding": "rounding: data untouched, rounding alone"}
    faint = scenario.role == "control"
    label = controls.get(scenario.name, scenario.name) if faint else scenario.name
    network, without = (point(of[similarity]) if of else None for of in (scenario.network, scenario.base))
    return charts.Row(label, network, without, point(scenario.tuned[similarity]), faint)


def told(row: charts.Row) -> str:
    """Returns a lane in words, for those who cannot see it."""
    network = f"{row.network.mean:.3f} of the network alone, " if row.network else ""
    without = f"{row.without.mean:.3f} without FINEST, " if row.without else ""
    return f"{row.label}: {network}{without}{row.with_.mean:.3f} with it."


def point(estimate: Estimate) -> charts.Point:
    """Returns the estimate as a chart takes it."""
    return charts.Point(estimate.mean, estimate.low, estimate.high)


def histograms(verdict: Verdict) -> list[Markup]:
    """Returns a panel a probe and one for the `seed` control, on one y axis."""
    shown = [scenario for scenario in verdict.scenarios if scenario.role == "probe" or scenario.name == "seed"]
    shown.sort(key=lambda scenario: scenario.role == "control")
    top = (
        max((share for scenario in shown for shares in scenario.histogram.values() for share in shares), default=0)
        * 1.08
    )
    panels = []
    for index, scenario in enumerate(shown):
        without, with_ = scenario.histogram.get("base"), scenario.histogram["tuned"]
        half = len(with_) // 2
        below = [
            f"{sum(shares[:half]):.1%} {words}"
            for shares, words in ((without, "without FINEST"), (with_, "with it"))
            if shares
        ]
        alt = f"{scenario.name}: share of instances with an rbo below 0.5: {', '.join(below)}."
        panels.append(charts.histogram(f"spread-{index}", alt, scenario.name, without, with_, top))
    return panels


def accuracy(verdict: Verdict) -> dict[str, Any]:
    """Returns bars and table of every model that was scored."""
    rows = verdict.accuracy

    def panel(name: str, title: str, values: dict[str, float], form: Any) -> Markup:
        alt = f"{title}. " + ", ".join(f"{model}: {form(value)}" for model, value in values.items()) + "."
        return charts.bars(name, alt, title, values, form, "candidate")

    def of(metric: str) -> dict[str, float]:
        return {row.name: row.metrics[metric] for row in rows}

    panels = []
    if rows:
        panels = [
            panel("mrr", "MRR", of("mrr"), number),
            panel("recall", "Recall at 10", of("recall_at_10"), percent),
            panel("coverage", "Catalogue coverage at 10", {row.name: row.coverage_at_10 for row in rows}, percent),
        ]
    base = next((mrr(row) for row in rows if row.name == "base"), 0.0)
    columns = metric_columns(rows)
    return {
        "panels": panels,
        "columns": columns,
        "rows": [(row, against(row, base), cells(row, columns)) for row in rows],
    }


def mrr(model: Accuracy) -> float:
    """Returns the model's MRR, the accuracy that the gate bounds."""
    return model.metrics["mrr"]


def cells(row: Accuracy, columns: list[Column]) -> dict[str, str]:
    """Returns a model's metrics as text, by name."""
    return {column.name: column.text(row, number, percent) for column in columns}


def against(row: Accuracy, base_mrr: float) -> str:
    """Returns a model's MRR relative to the base model's, in words of a table."""
    return signed(mrr(row) / base_mrr - 1) if base_mrr and row.name != "base" else "\N{EN DASH}"


def training_curves(histories: dict[str, pa.Table]) -> list[Markup]:
    """Draws the loss an epoch and stage, every variant, and the sum of the regulariser's terms."""
    panels = []
    for stage, title in (("pretrain", "Pretraining: next-item loss"), ("finetune", "Fine-tuning: whole loss")):
        panels.append((stage, title, {name: epochs(table, stage, "loss") for name, table in sorted(histories.items())}))
    terms = {name: terms_of(table) for name, table in sorted(histories.items())}
    if any(terms.values()):
        kept = {name: epochs(histories[name], "finetune", *own) for name, own in terms.items() if own}
        title = " + ".join(next(own for own in terms.values() if own))
        panels.append(("kept", f"Fine-tuning: {title}", {name: line for name, line in kept.items() if any(line[1])}))
    drawn = []
    for stage, title, lines in panels:
        lines = {name: line for name, line in lines.items() if line[0]}
        if lines:
            strong = "clean" if "clean" in lines else next(iter(lines))
            alt = (
                f"{title}, {len(lines)} variants. {strong} goes from {lines[strong][1][0]:.3f} to "
                f"{lines[strong][1][-1]:.3f}."
            )
            drawn.append(
                charts.curves(
                    f"curve-{stage}", alt, title, [charts.Curve(*line, name == strong) for name, line in lines.items()]
                )
            )
    return drawn


def epochs(table: pa.Table, stage: str, *terms: str) -> tuple[list[int], list[float]]:
    """Returns the epochs of that stage, and the sum of these terms in each."""
    rows = [row for row in table.select(["stage", "epoch", *terms]).to_pylist() if row["stage"] == stage]
    return [row["epoch"] for row in rows], [sum(row[term] for term in terms) for row in rows]


def cost(measured: dict[str, Any]) -> dict[str, Any] | None:
    """Returns CPU seconds a variant and stage, wall seconds a step, and what the proof cost beyond the candidate.

    None where nothing was measured.
    """
    variants: dict[str, dict[str, float]] = measured.get("variants", {})
    steps: dict[str, float] = measured.get("steps", {})
    if not variants and not steps:
        return None
    stages = [stage for stage in STAGES if any(f"{stage}_cpu_seconds" in spent for spent in variants.values())]
    rows = {name: [cpu_seconds(spent, stage) for stage in stages] for name, spent in variants.items()}
    total = sum(map(sum, rows.values()))
    candidate = sum(rows.get("clean", []))
    alt = "CPU seconds. " + " ".join(f"{name}: {sum(pieces):.0f}." for name, pieces in rows.items())
    return {
        "svg": charts.stacks("cost", alt, rows, [STAGE_COLOURS[stage] for stage in stages]) if stages else None,
        "stages": {stage: STAGES[stage] for stage in stages},
        "variants": [
            (name, [(cpu_seconds(spent, stage), spent.get(f"{stage}_seconds")) for stage in stages])
            for name, spent in variants.items()
        ],
        "steps": steps,
        "candidate": candidate,
        "total": total,
        "proof": (total - candidate) / candidate if candidate else None,
        "others": len(rows) - 1,
    }


def cpu_seconds(spent: dict[str, float], stage: str) -> float:
    """Returns CPU seconds of a variant's stage; of a resumed training, those of the epochs before it stopped too."""
    return max(spent.get(f"{stage}_cpu_seconds", 0.0), spent.get(f"{stage}_epochs_cpu_seconds", 0.0))
