"""Shows the verdict on the terminal."""

from functools import partial

from rich.console import Console
from rich.text import Text

from finest.gate.verdict import Accuracy, Estimate, RuleResult, ScenarioResult, Verdict
from finest.report import form
from finest.report.form import metric_columns, similarity_columns, stage_columns, yardsticks
from pipeline.plain import Table, say

number, percent = partial(form.number, absent=""), partial(form.percent, absent="")
STATUS_STYLES = {
    "pass": "green",
    "fail": "bold red",
    "suspicious": "bold yellow",
    "broken": "bold red",
    "not applicable": "dim",
    "skipped": "yellow",
}


def show(console: Console, verdict: Verdict) -> None:
    """Prints stability, accuracy and rules, then the verdict in one line."""
    given = f", {verdict.given}" if verdict.given else ""
    for said in filter(None, [form.churn(verdict.metrics), form.rls(verdict.metrics)]):
        say(console, said, indent=2, style="bold")
    if verdict.scenarios:
        title = f"Rank list stability (protocol {verdict.protocol}{given}; reference {verdict.reference})"
        stability(verdict.scenarios, title).show(console)
    if verdict.accuracy:
        accuracy(verdict.accuracy).show(console)
    if verdict.rules:
        rules(verdict.rules).show(console)
    for note in verdict.notes:
        say(console, f"note: {note}", indent=2, style="dim")
    say(console, f"Verdict: {verdict.verdict}. {verdict.reason}", indent=2, style=STATUS_STYLES[verdict.verdict])


def stability(scenarios: list[ScenarioResult], title: str) -> Table:
    """Returns a table of the probes, between the noise floor and the ceiling, and of the controls."""
    (floor, ceiling), stages = yardsticks(scenarios), stage_columns(scenarios)
    table = Table(title=title)
    table.add_column("")
    similarities = similarity_columns(scenarios, "everywhere")
    for name in similarities.values():
        table.add_column(f"{name}\nnoise floor", justify="right", style="dim")
        for stage, words in stages.items():
            style = "bold" if stage == "tuned" else None
            table.add_column(f"{name}\n{words}".replace(" ", "\n"), justify="right", style=style)
        table.add_column(f"{name}\nceiling", justify="right", style="dim")
    for scenario in sorted(scenarios, key=lambda one: one.role == "control"):
        probe = scenario.role == "probe"
        cells: list[str] = []
        for key in similarities:
            low, high = (yardstick.get(key) if probe else None for yardstick in (floor, ceiling))
            cells += map(mean, (low, *(getattr(scenario, stage).get(key) for stage in stages), high))
        table.add_row(scenario.name if probe else f"control: {scenario.name}", *cells)
    return table


def accuracy(models: list[Accuracy]) -> Table:
    """Returns a table of the models' accuracy."""
    metrics = metric_columns(models)
    table = Table("", title="Accuracy over the full catalogue")
    for heading in (*(column.heading for column in metrics), "coverage@10", "overlap", "plasticity"):
        table.add_column(heading, justify="right")
    for model in models:
        cells = [column.text(model, number, percent) for column in metrics]
        table.add_row(model.name, *cells, *map(number, (model.coverage_at_10, model.overlap, model.plasticity)))
    return table


def rules(results: list[RuleResult]) -> Table:
    """Returns a table of the rules, in words."""
    table = Table("rule", title="The gate's rules")
    for column in ("value", "bound"):
        table.add_column(column, justify="right")
    table.add_column("")
    for column in form.ODDS:
        table.add_column(column.replace(" ", "\n", 1), justify="right", style="dim")
    table.add_column("what that means")
    for rule in form.failed_first(results):
        status = Text(rule.status, style=STATUS_STYLES[rule.status])
        numbers = number(rule.value), number(rule.bound)
        table.add_row(rule.name, *numbers, status, *form.odds(rule), form.explained(rule))
    return table


def failed_checks(verdict: Verdict) -> list[str]:
    """Returns a line for every check that did not hold: its name, the config key of its bound, and its sentence."""
    failed = (rule for rule in verdict.rules if rule.status == "fail")
    return [f"{rule.name}{f' [{rule.option}]' if rule.option else ''}: {form.explained(rule)}" for rule in failed]


def mean(estimate: Estimate | None) -> str:
    """Returns an estimate's mean; nothing for None."""
    return number(estimate.mean if estimate else None)
