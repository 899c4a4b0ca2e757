"""Sums up the cells of the quality page, and writes docs/quality.md from benchmarks/quality.json."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import Field

from benchmarks.quality_models import PEERS
from finest.gate.rls import ByUser
from finest.gate.statistic import Statistic
from finest.section import Section

JSON = Path(__file__).with_name("quality.json")
PAGE = Path(__file__).parents[1] / "docs" / "quality.md"
VALUES = ("recall_at_10", "ndcg_at_10", "mrr")
"""Metrics of the page that have a value an instance."""
LABELS = {
    "popularity": "popularity",
    "recent_popularity": "popularity of the last days",
    "repeat_last": "repeat last",
    "frequency": "the user's own frequency",
    "markov": "first-order Markov",
    "sequential_rules": "sequential rules",
    "item_knn": "item-kNN",
    "network": "**network** alone (SASRec)",
    "counts": "**counts** alone",
    "stack": "**stack**: network and counts",
    "candidate": "**candidate**: the stack after FINEST",
    **{name: f"*{label}*" for name, label in PEERS.items()},
}
"""Rows of a table, in order: simple recommenders, ours, peers."""
SIMPLE = tuple(LABELS)[:7]
TWO_SIDED = 0.975
"""One-sided confidence of each end of a two-sided 95% interval."""


@dataclass(frozen=True)
class Cell:
    """Holds a model's values of one seed."""

    seed: int
    columns: dict[str, npt.NDArray[Any]]
    """`user` and VALUES, each [M]."""
    facts: dict[str, Any]


class Model(Section):
    """Holds a model's row: means over seeds."""

    seeds: list[int]
    values: dict[str, float]
    """Means over instances and seeds."""
    half_width: dict[str, float]
    """Half of the 95% interval of these means over the choice of users."""
    of_seeds: dict[str, list[float]]
    coverage: float
    over_simple: list[float] | None = None
    """MRR over that of the best simple recommender: ratio less one, with its 95% interval."""
    cpu_s: float
    wall_s: float
    date: str
    commit: str
    hardware: str
    settings: str = ""
    """What was changed of the config's defaults."""
    told: list[dict[str, Any]] = Field(default=[])
    """A seed each: versions, settings, epochs, what was chosen."""


class DataSet(Section):
    """Holds a data set's table."""

    split: str
    users: int
    items: int
    training_rows: int
    instances: int
    peer_length: int
    """Items of a history that RecTools' and RePlay's models read."""
    models: dict[str, Model]


class Pages(Section):
    """Holds all tables, by data set."""

    sets: dict[str, DataSet] = Field(default={})

    @classmethod
    def read(cls, path: Path) -> "Pages":
        """Reads what was measured so far."""
        return cls.model_validate_json(path.read_text()) if path.is_file() else cls()


def _estimates(user: npt.NDArray[Any], means: npt.NDArray[np.float64]) -> list[Statistic]:
    """Returns the mean of every column [M, V] with its two-sided 95% bounds."""
    code = np.unique(user, return_inverse=True)[1].astype(np.int64)
    return ByUser(code, TWO_SIDED).means(list(means.T))


def summary(found: dict[str, list[Cell]]) -> dict[str, Model]:
    """Returns the rows of a table, in the page's order.

    Intervals are of means over seeds and cover the choice of users.
    """
    means = {
        model: np.column_stack([np.mean([cell.columns[name] for cell in cells], axis=0) for name in VALUES])
        for model, cells in found.items()
    }
    estimates = {model: _estimates(found[model][0].columns["user"], means[model]) for model in found}
    mrr = VALUES.index("mrr")
    best = max((model for model in SIMPLE if model in found), key=lambda model: means[model][:, mrr].mean(), default="")
    rows = {}
    for model in (model for model in LABELS if model in found):
        cells, facts = found[model], found[model][-1].facts
        over = None
        if best and model not in SIMPLE:
            ratio = estimates[model][mrr] / estimates[best][mrr]
            over = [ratio.value - 1, ratio.low - 1, ratio.high - 1]
        rows[model] = Model(
            seeds=[cell.seed for cell in cells],
            values=dict(zip(VALUES, means[model].mean(0).tolist(), strict=True)),
            half_width={name: one.high - one.value for name, one in zip(VALUES, estimates[model], strict=True)},
            of_seeds={name: [float(cell.columns[name].mean()) for cell in cells] for name in VALUES},
            coverage=float(np.mean([cell.facts["coverage"] for cell in cells])),
            over_simple=over,
            cpu_s=float(np.mean([cell.facts["cpu_s"] for cell in cells])),
            wall_s=float(np.mean([cell.facts["wall_s"] for cell in cells])),
            told=[cell.facts["told"] for cell in cells if cell.facts["told"]],
            **{name: facts[name] for name in ("date", "commit", "hardware", "settings")},
        )
    return rows


def write_page() -> None:
    """Writes the tables between the marks of docs/quality.md."""
    text = PAGE.read_text()
    tables = markdown(Pages.read(JSON))
    PAGE.write_text(
        re.sub(
            r"(<!-- quality.json -->\n).*(<!-- end -->)",
            lambda marks: f"{marks[1]}{tables}{marks[2]}",
            text,
            flags=re.DOTALL,
        )
    )


def markdown(pages: Pages) -> str:
    """Returns all tables of the page."""
    return "".join(f"{_section(title, data)}\n" for title, data in pages.sets.items())


def _section(title: str, data: DataSet) -> str:
    lines = [
        f"### {title}",
        "",
        f"{data.users:,} users, {data.items:,} items, {data.training_rows:,} training rows; {data.instances:,}"
        f" instances: {data.split}.",
        "",
        "| model | Recall@10 | NDCG@10 | MRR | MRR by seed | over the best simple one | coverage@10 | CPU s | wall s |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [_row(label, data.models.get(model)) for model, label in LABELS.items() if _applies(model, data)]
    lines += ["", *_notes(data)]
    return "\n".join(line for line in lines) + "\n"


def _applies(model: str, data: DataSet) -> bool:
    """Tells whether a row belongs to a table: `frequency` is of use only where items come again."""
    return model != "frequency" or model in data.models


def _row(label: str, model: Model | None) -> str:
    if model is None:
        return f"| {label} | not run | | | | | | | |"
    accuracy = " | ".join(f"{model.values[name]:.4f} ± {model.half_width[name]:.4f}" for name in VALUES)
    seeds = " ".join(f"{value:.4f}" for value in model.of_seeds["mrr"]) if len(model.seeds) > 1 or model.told else ""
    over = "{:+.1%} ({:+.1%} to {:+.1%})".format(*model.over_simple) if model.over_simple else ""
    return (
        f"| {label} | {accuracy} | {seeds} | {over} | {model.coverage:.1%} | {model.cpu_s:.1f} | {model.wall_s:.1f} |"
    )


def _notes(data: DataSet) -> list[str]:
    """Returns what must be known to read a table: what was chosen, versions, epochs, machine and date."""
    notes = []
    if "candidate" in data.models:
        chosen = [told["chosen"] for told in data.models["candidate"].told]
        settings = data.models["candidate"].settings
        notes.append(
            f"Ours: {f'`{settings}`' if settings else 'the default config'}; what validation would serve by default, by"
            f" seed: {', '.join(chosen)}."
        )
    for name, label in PEERS.items():
        if name in data.models:
            told = data.models[name].told[-1]
            versions = ", ".join(f"{package} {version}" for package, version in told["versions"].items())
            settings = ", ".join(f"{key} {value}" for key, value in told["settings"].items())
            notes.append(f"{label}: {versions}; {settings}; {told['epochs']} epochs, {told['how long']}.")
    where = dict.fromkeys(f"{model.date}, {model.commit}, {model.hardware}" for model in data.models.values())
    notes.append(f"Measured: {'; '.join(where)}.")
    return [f"- {note}" for note in notes]
