"""Writes what a search found: a table for programs, a page for people."""

import csv
import io
from collections.abc import Iterable, Sequence

from finest.perturb.config import Drawn
from finest.tuning.trial import Trial, choose, finished, front

CONFIG, TABLE, PAGE = "config.yaml", "trials.csv", "tune.md"
"""Names of the files of a search's folder: the chosen config, all trials, and the page."""


def table(trials: Sequence[Trial]) -> str:
    """Returns all trials as CSV, the config's own first, with a column for every searched key."""
    chosen, best = choose(trials).number, {trial.number for trial in front(trials)}
    keys = list(trials[0].values)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    measured = ["mrr", "standard_error", "rbo", "served", "seconds", "reason"]
    writer.writerow(["trial", "state", "chosen", "pareto", *measured, *keys, "network_mrr_by_epochs"])
    for trial in trials:
        plain = trial.model_dump()
        rungs = " ".join(f"{epochs}:{mrr:.6g}" for epochs, mrr in trial.rungs.items())
        values = ["" if plain[name] is None else plain[name] for name in measured]
        marks = [int(trial.number == chosen), int(trial.number in best)]
        writer.writerow([trial.number, trial.state, *marks, *values, *(trial.values[name] for name in keys), rungs])
    return out.getvalue()


def page(trials: Sequence[Trial], scenario: Drawn, source: str) -> str:
    """Returns the page, in Markdown.

    Args:
        trials: All trials, the config's own first.
        scenario: Edits of the probe.
        source: Name of the data.
    """
    best = max(finished(trials), key=lambda one: (one.mrr or 0.0, -one.number))
    states = [trial.state for trial in trials]
    failed = [trial for trial in trials if trial.state == "failed"]
    count = f"{len(trials)} configs were tried: {states.count('finished')} measured, {states.count('pruned')} pruned"
    lines = [
        f"# Search on {source}",
        "",
        sentence(trials),
        "",
        f"{count}, {len(failed)} failed. Trial 0 is the config that the search began with.",
        "",
        "## The config, what was chosen, and the Pareto front",
        "",
        *_rows(_of_interest(trials), trials),
        "",
        "On the front no other trial is as good in both values and better in one.",
        "",
        "## How it was measured",
        "",
        "- On a validation cut: training rows alone, each user's last tenth held out. Test rows were not looked at.",
        "- MRR is that of the lists that are served, over the full catalogue; its standard error is by user. Users "
        "whose rows the memory's weights were fitted on are left out.",
        f"- RBO compares these lists with those of one more training, under another seed and on the edits of "
        f"`{scenario.name}`.",
        f"- Chosen is the most stable trial whose MRR is at least the best one's ({_number(best.mrr)}, trial "
        f"{best.number}) less its standard error ({_number(best.standard_error)}).",
        "- A trial is pruned after 4, 8, 16, ... epochs where its network's MRR is below the median of earlier trials "
        "there.",
        "- The best of many trials looks better than it is, by chance: a run with the chosen config says on test rows "
        "what is left of the gain.",
        *([f"- Failed: {'; '.join(f'trial {one.number}: {one.reason}' for one in failed)}"] if failed else []),
        "",
        "## All trials",
        "",
        *_rows(trials, trials),
    ]
    return "\n".join(lines) + "\n"


def sentence(trials: Sequence[Trial]) -> str:
    """Returns what the search brought in one sentence."""
    own, chosen = trials[0], choose(trials)
    before = f"MRR {_number(own.mrr)} and RBO {_number(own.rbo)}"
    if chosen.number == 0:
        return f"No trial is more stable than the config itself and about as accurate as the best: it has {before}."
    return (
        f"Trial {chosen.number} has MRR {_number(chosen.mrr)} and RBO {_number(chosen.rbo)} on validation rows, where "
        f"the config that the search began with has {before}."
    )


def _of_interest(trials: Sequence[Trial]) -> list[Trial]:
    numbers = dict.fromkeys([0, choose(trials).number, *(trial.number for trial in front(trials))])
    by_number = {trial.number: trial for trial in trials}
    return [by_number[number] for number in numbers]


def _rows(shown: Iterable[Trial], trials: Sequence[Trial]) -> list[str]:
    chosen, best, keys = choose(trials).number, {trial.number for trial in front(trials)}, list(trials[0].values)
    head = ["trial", "MRR", "standard error", "RBO", "served", *(f"`{name}`" for name in keys)]
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    for trial in shown:
        words = ["the config itself"] * (trial.number == 0) + ["**chosen**"] * (trial.number == chosen)
        words += ["front"] * (trial.number in best)
        words += [trial.state] * (trial.state != "finished")
        name = f"{trial.number} ({', '.join(words)})" if words else str(trial.number)
        measured = [_number(trial.mrr), _number(trial.standard_error), _number(trial.rbo), trial.served]
        lines.append(f"| {' | '.join([name, *measured, *(_value(trial.values[key]) for key in keys)])} |")
    return lines


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _value(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
