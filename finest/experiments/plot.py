"""Draws an experiment's table: dots with their intervals, or curves along what its grid varies.

Where rows are compared with ours, the dots are differences in pairs of a seed: rows' own intervals overlap, since a
seed moves all of them.
"""

import math
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from finest import atomic
from finest.experiments.interval import Mean, mean
from finest.experiments.registry import Column
from finest.experiments.table import Line, Table

SETTINGS: dict[Any, Any] = {"svg.hashsalt": "finest", "text.parse_math": False, "font.size": 9}
SHOWN = 2
"""Largest number of values that are drawn."""


def draw(of: Table, file: Path) -> None:
    """Writes the plot as SVG: a panel a value and sort of lists. The same table gives the same bytes."""
    wanted = of.experiment.by or [one.name for one in of.experiment.columns]
    drawn = [one for name in wanted for one in of.experiment.columns if one.name == name][:SHOWN]
    sorts = list(dict.fromkeys(line.row.of for line in of.lines)) or ["network"]
    height = 1.6 + (2.6 if of.experiment.across else 0.24 * max(1, len(of.lines) / len(sorts)))
    with matplotlib.rc_context(SETTINGS):
        figure = Figure(figsize=(6.0 * len(drawn), height * len(sorts)), layout="constrained")
        panels = figure.subplots(len(sorts), len(drawn), squeeze=False)
        for sort, row in zip(sorts, panels, strict=True):
            lines = [line for line in of.lines if line.row.of == sort]
            for column, axes in zip(drawn, row, strict=True):
                where = "network alone" if sort == "network" else "as served"
                if of.experiment.across:
                    _curves(axes, lines, column, of.experiment.across)
                elif column.name in of.compared_by and (ours := of.ours(sort)):
                    _differences(axes, of, ours, lines, column)
                    where = f"less that of {ours.row.label}, {where}"
                else:
                    _dots(axes, [(_name(line), one) for line in lines if (one := line.mean(column.name))])
                axes.set_title(f"{column.label}, {where}", fontsize=9)
        with atomic.file(file) as partial:
            figure.savefig(partial, format="svg", metadata={"Date": None, "Creator": None})


def _differences(axes: Axes, of: Table, ours: Line, lines: list[Line], column: Column) -> None:
    dots = []
    for line in lines:
        own = line.mean(column.name)
        gap = of.beside_ours(line, column.name) or (mean([0.0]) if line is ours else None)
        if own and gap:
            dots.append((f"{_name(line)} ({own.value:.{column.digits}f})", gap))
    axes.axvline(0.0, color="C1", linewidth=0.8)
    _dots(axes, dots)


def _dots(axes: Axes, dots: list[tuple[str, Mean]]) -> None:
    for place, (_, one) in enumerate(reversed(dots)):
        axes.errorbar([one.value], [place], xerr=[_margin(one)], marker="o", markersize=4, color="C0", capsize=2)
    axes.set_yticks(range(len(dots)), [name for name, _ in reversed(dots)])
    axes.locator_params(axis="x", nbins=5)
    axes.grid(axis="x", linewidth=0.4)


def _margin(one: Mean) -> float:
    return one.value - one.low if math.isfinite(one.low) else 0.0


def _curves(axes: Axes, lines: list[Line], column: Column, across: str) -> None:
    marks = list(dict.fromkeys(line.row.more.get(across, "") for line in lines))
    series: dict[str, list[Line]] = {}
    for line in lines:
        series.setdefault(_name(line, without=across), []).append(line)
    for name, members in series.items():
        known = [
            (marks.index(line.row.more.get(across, "")), one) for line in members if (one := line.mean(column.name))
        ]
        margins = [_margin(one) for _, one in known]
        axes.errorbar(
            [place for place, _ in known], [one.value for _, one in known], margins, label=name, marker=".", capsize=2
        )
    axes.set_xticks(range(len(marks)), marks, rotation=30 if max(map(len, marks), default=0) > 8 else 0)
    axes.set_xlabel(across)
    axes.grid(axis="y", linewidth=0.4)
    if 1 < len(series) <= 12:
        axes.legend(fontsize=7)


def _name(line: Line, without: str = "") -> str:
    kept = [value for name, value in line.row.more.items() if name not in (without, "knows", "device")]
    return ", ".join([line.row.label, *kept])
