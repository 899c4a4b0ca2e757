"""Draws the report's charts: small SVG panels for the page, with its fonts and colours, in dark mode and print too.

Panels are narrow (a unit is about a CSS pixel) and stand in a grid, so that their text stays readable on a phone.
"""

import io
import math
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import matplotlib
from markupsafe import Markup, escape
from matplotlib.axes import Axes
from matplotlib.figure import Figure

WIDE, NARROW, SLIM = 420, 300, 240
TEXT, SMALL = 11.5, 10.5
ROW = 38
LETTER = 7.0

# Matplotlib writes colours as hex; each of these is replaced by a variable of the page.
INK, MUTED, LINE, SHADE, WITH, WITHOUT, OTHER, PAPER = (f"#0000{code:02x}" for code in range(1, 9))
VARIABLES = {
    INK: "ink",
    MUTED: "muted",
    LINE: "line",
    SHADE: "shade",
    WITH: "with",
    WITHOUT: "without",
    OTHER: "other",
    PAPER: "paper",
}

SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "finest",
    "text.parse_math": False,
    "font.size": TEXT,
    "font.family": "sans-serif",
    "text.color": INK,
    "axes.edgecolor": LINE,
    "axes.labelcolor": MUTED,
    "axes.labelsize": SMALL,
    "axes.spines.left": False,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "xtick.color": LINE,
    "ytick.color": LINE,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "grid.color": LINE,
    "grid.linewidth": 0.8,
}


class Point(NamedTuple):
    """Holds a mean and its interval."""

    mean: float
    low: float
    high: float


class Row(NamedTuple):
    """Holds one row of a dumbbell chart."""

    label: str
    network: Point | None
    """Of the network alone; None where nothing is counted beside it."""
    without: Point | None
    """None: the lists without FINEST are not known."""
    with_: Point
    faint: bool


class Mark(NamedTuple):
    """Holds a labelled vertical line of a dumbbell chart."""

    label: str
    x: float


class Curve(NamedTuple):
    """Holds one line of a chart over epochs."""

    x: Sequence[float]
    y: Sequence[float]
    strong: bool


def dumbbells(name: str, alt: str, rows: list[Row], floor: Mark | None, ceiling: Mark | None) -> Markup:
    """Draws a lane a scenario from `network` over `without` to `with_`, with their intervals as brackets.

    What lies below the floor and above the ceiling is shaded.
    """
    header = 40 if floor or ceiling else 6
    bottom = ROW * len(rows)
    marks = [mark.x for mark in (floor, ceiling) if mark]
    edges = [
        edge
        for row in rows
        for point in (row.network, row.without, row.with_)
        if point
        for edge in (point.low, point.high)
    ] + marks
    span = max(max(edges) - min(edges), 0.02)
    low, high = max(min(edges) - 0.12 * span, 0), min(max(edges) + 0.12 * span, 1 + 0.02 * span)

    def draw(figure: Figure) -> None:
        axes = _axes(figure, left=0, right=0, top=0, bottom=22)
        axes.set_xlim(low, high)
        axes.set_ylim(bottom, -header)
        axes.set_yticks([])
        axes.spines["bottom"].set_visible(False)
        axes.tick_params(length=0)
        ticks = [tick for tick in axes.get_xticks() if low + 0.04 * (high - low) <= tick <= high - 0.04 * (high - low)]
        axes.set_xticks(ticks)
        for mark, y in ((floor, -26), (ceiling, -9)):
            if mark:
                axes.plot([mark.x, mark.x], [y - 8, bottom], color=MUTED, linewidth=1, dashes=(3, 2), zorder=1.5)
                late = (mark.x - low) / (high - low) > 0.5
                axes.annotate(
                    f"{mark.label} {mark.x:.3f}",
                    (mark.x, y),
                    (-5 if late else 5, 0),
                    textcoords="offset points",
                    ha="right" if late else "left",
                    va="center",
                    color=MUTED,
                    fontsize=SMALL,
                )
        for index, row in enumerate(rows):
            top, end = ROW * index + 18, ROW * index + 36
            axes.vlines(ticks, top, end, color=LINE, linewidth=0.8, zorder=1)
            for left, right in ((low, floor.x if floor else low), (ceiling.x if ceiling else high, high)):
                axes.fill_between([left, right], top, end, color=SHADE, linewidth=0, zorder=0.5)
            _dumbbell(axes, row, ROW * index)

    return _svg(name, alt, WIDE, header + bottom + 24, draw)


def _dumbbell(axes: Axes, row: Row, top: float) -> None:
    y = top + 27
    strength = 0.6 if row.faint else 1
    color = MUTED if row.faint else INK
    masking = {"facecolor": PAPER, "edgecolor": "none", "pad": 1.5}
    values = " \N{RIGHTWARDS ARROW} ".join(
        f"{point.mean:.3f}" for point in (row.network, row.without, row.with_) if point
    )
    axes.text(
        0,
        top + 9,
        _short(row.label, WIDE - 100),
        transform=axes.get_yaxis_transform(),
        va="center",
        color=color,
        bbox=masking,
    )
    axes.text(
        1, top + 9, values, transform=axes.get_yaxis_transform(), ha="right", va="center", color=color, bbox=masking
    )
    if start := row.network or row.without:
        axes.plot(
            [start.mean, row.with_.mean],
            [y, y],
            color=OTHER,
            linewidth=2,
            alpha=strength,
            zorder=2,
            solid_capstyle="butt",
        )
    for point, color in ((row.network, OTHER), (row.without, WITHOUT), (row.with_, WITH)):
        if point:
            axes.plot([point.low, point.high], [y, y], color=color, linewidth=1.2, alpha=strength, zorder=3)
            axes.plot(
                [point.low, point.high],
                [y, y],
                "|",
                color=color,
                markersize=12,
                markeredgewidth=1.2,
                alpha=strength,
                zorder=3,
            )
            axes.plot([point.mean], [y], "o", color=color, markersize=7.5, markeredgewidth=0, alpha=strength, zorder=4)


def histogram(
    name: str, alt: str, title: str, without: Sequence[float] | None, with_: Sequence[float], top: float
) -> Markup:
    """Draws shares of instances by rbo in equal bins from 0 to 1.

    Bars with FINEST, an outline without; `top` ends the y axis.
    """
    edges = [index / len(with_) for index in range(len(with_) + 1)]

    def draw(figure: Figure) -> None:
        axes = _axes(figure, left=36, right=8, top=26, bottom=38)
        axes.text(0, 12, _short(title, SLIM), transform=_points(figure), va="center", fontweight="bold")
        axes.stairs(with_, edges, fill=True, color=WITH, alpha=0.55, linewidth=0, zorder=2)
        if without:
            axes.stairs(without, edges, color=WITHOUT, linewidth=1.6, zorder=3)
        axes.set_xlim(0, 1)
        axes.set_ylim(0, top)
        axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "", "0.5", "", "1"])
        axes.set_xlabel("rbo (1 = the list did not move)")
        axes.yaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
        axes.yaxis.set_major_locator(matplotlib.ticker.MaxNLocator(4, steps=[1, 2, 5, 10]))
        axes.tick_params(length=0)
        axes.tick_params(axis="x", pad=6)
        axes.grid(axis="y", zorder=0)

    return _svg(name, alt, SLIM, 176, draw)


def bars(
    name: str, alt: str, title: str, values: dict[str, float], form: Callable[[float], str], strong: str
) -> Markup:
    """Draws a horizontal bar a model; the one named `strong` in colour."""
    height = 30 + 25 * len(values)
    longest = max(values.values()) or 1

    def draw(figure: Figure) -> None:
        axes = _axes(figure, left=92, right=6, top=26, bottom=2)
        axes.text(0, 12, title, transform=_points(figure), va="center", fontweight="bold")
        axes.set_axis_off()
        axes.set_xlim(0, longest * 1.32)
        axes.set_ylim(len(values) - 0.5, -0.5)
        for index, (model, value) in enumerate(values.items()):
            axes.barh(index, value, height=0.62, color=WITH if model == strong else OTHER)
            color = INK if model == strong else MUTED
            axes.annotate(
                form(value), (value, index), (5, 0), textcoords="offset points", va="center", color=INK, fontsize=SMALL
            )
            axes.annotate(model, (0, index), (-8, 0), textcoords="offset points", ha="right", va="center", color=color)

    return _svg(name, alt, NARROW, height, draw)


def curves(name: str, alt: str, title: str, lines: list[Curve]) -> Markup:
    """Draws lines over epochs: strong ones in colour and on top, the others faint."""

    def draw(figure: Figure) -> None:
        axes = _axes(figure, left=40, right=8, top=26, bottom=36)
        axes.text(0, 12, title, transform=_points(figure), va="center", fontweight="bold")
        for line in lines:
            color, width, size, alpha, order = (WITH, 2, 4, 1, 3) if line.strong else (OTHER, 1, 2, 0.7, 2)
            axes.plot(
                line.x, line.y, color=color, linewidth=width, marker="o", markersize=size, alpha=alpha, zorder=order
            )
        axes.set_xlabel("epoch")
        axes.margins(x=0.03, y=0.08)
        axes.xaxis.set_major_locator(matplotlib.ticker.MaxNLocator(6, integer=True))
        axes.yaxis.set_major_locator(matplotlib.ticker.MaxNLocator(5))
        axes.tick_params(length=0)
        axes.grid(axis="y", zorder=0)

    return _svg(name, alt, NARROW, 190, draw)


def stacks(name: str, alt: str, rows: dict[str, list[float]], colours: list[str]) -> Markup:
    """Draws a horizontal bar a row, of one piece a colour, with its sum (seconds) at the end."""
    height = 4 + 36 * len(rows)
    longest = max(sum(pieces) for pieces in rows.values()) or 1

    def draw(figure: Figure) -> None:
        axes = _axes(figure, left=0, right=6, top=2, bottom=2)
        axes.set_axis_off()
        axes.set_xlim(0, longest * 1.16)
        axes.set_ylim(len(rows), 0)
        for index, (row, pieces) in enumerate(rows.items()):
            axes.text(0, index + 0.27, _short(row, WIDE), va="center")
            start = 0.0
            for piece, colour in zip(pieces, colours, strict=True):
                axes.barh(index + 0.7, piece, left=start, height=0.3, color=colour)
                start += piece
            at = (start, index + 0.7)
            axes.annotate(
                f"{start:,.0f} s", at, (5, 0), textcoords="offset points", va="center", color=MUTED, fontsize=SMALL
            )

    return _svg(name, alt, WIDE, height, draw)


def _short(label: str, width: float) -> str:
    """Returns the label, cut to what fits into `width` points."""
    longest = int(width / LETTER)
    return label if len(label) <= longest else label[: longest - 1] + "\N{HORIZONTAL ELLIPSIS}"


def _axes(figure: Figure, left: float, right: float, top: float, bottom: float) -> Axes:
    """Returns axes with margins in points: the charts must line up whatever their labels are."""
    width, height = figure.get_size_inches() * 72
    return figure.add_axes((left / width, bottom / height, 1 - (left + right) / width, 1 - (top + bottom) / height))


def _points(figure: Figure) -> matplotlib.transforms.Transform:
    """Returns the transform from points off the figure's top left corner to the canvas."""
    width, height = figure.get_size_inches() * 72
    return matplotlib.transforms.Affine2D().translate(0, -height).scale(1 / width, -1 / height) + figure.transFigure


def _svg(name: str, alt: str, width: float, height: float, draw: Callable[[Figure], None]) -> Markup:
    """Returns the figure that `draw` draws as an SVG element whose ids start with `name`.

    It lacks the fixed size, metadata and page-wide style of Matplotlib.
    """
    out = io.StringIO()
    with matplotlib.rc_context(SETTINGS):
        figure = Figure(figsize=(width / 72, height / 72), dpi=72)
        draw(figure)
        figure.savefig(
            out, format="svg", transparent=True, metadata=dict.fromkeys(("Creator", "Date", "Format", "Type"))
        )
    text = out.getvalue()
    body = text[text.index(">", text.index("<svg")) + 1 :]
    body = re.sub(r"<metadata>.*?</metadata>|<defs>\s*<style.*?</style>\s*</defs>", "", body, flags=re.DOTALL)
    body = re.sub(r'(\bid="|xlink:href="#|url\(#)', rf"\g<1>{name}-", body)
    for colour, variable in VARIABLES.items():
        body = body.replace(colour, f"var(--{variable})")
    body = re.sub(r"\s*\n\s*", "\n", body)
    start = f'<svg viewBox="0 0 {math.ceil(width)} {math.ceil(height)}" role="img" aria-label="{escape(alt)}">'
    return Markup(start + body.strip())
