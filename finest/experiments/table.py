"""Puts records together to a table: means over seeds with intervals and costs, in Markdown and CSV."""

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from finest.experiments.interval import Mean, apart, difference, mean
from finest.experiments.record import Cost, Record, Row
from finest.experiments.registry import EXPERIMENTS, Column, Experiment
from finest.report.markdown import text

COSTS = {"wall_s": "wall s", "cpu_s": "CPU s", "peak_mb": "peak MB"}
"""Columns of costs, by name."""
INTERVAL = (
    "Brackets are 95% intervals of the mean over seeds, by Student's t: what other seeds would give on the same data. "
    "They do not cover other users, rows or data sets; without brackets there was one seed. Differences between rows "
    "are taken in pairs of a seed, and so are their intervals: what a seed does to both rows is not in them."
)
COST = (
    "Costs are of one model of the row, from nothing: wall and CPU seconds of its epochs and reference lists, mean "
    "over seeds, and the peak of memory of the process that trained it. Network and served lists share them."
)


@dataclass
class Line:
    """Holds one row of the table: values of all seeds."""

    row: Row
    """The first seed's row, for its labels."""
    values: dict[str, dict[int, float]] = field(default_factory=dict)
    """Name, then seed."""
    costs: list[Cost] = field(default_factory=list)

    def mean(self, name: str) -> Mean | None:
        """Returns a value's mean over seeds; None where no seed has it."""
        found = self.values.get(name)
        return mean([found[seed] for seed in sorted(found)]) if found else None

    def cost(self, name: str) -> float | None:
        """Returns the mean of a cost over seeds."""
        return math.fsum(getattr(one, name) for one in self.costs) / len(self.costs) if self.costs else None


@dataclass(frozen=True)
class Table:
    """Holds an experiment's rows, in the order in which they are shown, and its cells without numbers."""

    name: str
    experiment: Experiment
    lines: list[Line]
    without: list[Record]
    """Impossible and broken cells."""

    @property
    def compared_by(self) -> Sequence[str]:
        """Returns the values by which rows are compared with ours; none where no row is ours."""
        return self.experiment.by if self.experiment.ours else ()

    def ours(self, of: str) -> Line | None:
        """Returns our row of a sort of lists; None where there is none, or not yet."""
        return next((line for line in self.lines if (line.row.label, line.row.of) == (self.experiment.ours, of)), None)

    def beside_ours(self, line: Line, name: str) -> Mean | None:
        """Returns a value of a row less that of our row, in pairs of a seed; None for our own row and without any."""
        ours = self.ours(line.row.of)
        if ours is None or ours is line:
            return None
        return difference(ours.values.get(name, {}), line.values.get(name, {}))


def table(name: str, records: Sequence[Record]) -> Table:
    """Returns the table of an experiment; rows by the first of its values, largest first, where it compares by any."""
    experiment, lines = EXPERIMENTS[name](), dict[tuple[str, ...], Line]()
    for record in records:
        for row in record.rows:
            line = lines.setdefault(row.key, Line(row))
            for value, number in row.values.items():
                line.values.setdefault(value, {})[record.cell.seed] = number
            if row.cost:
                line.costs.append(row.cost)
    ordered = list(lines.values())
    if experiment.by and not experiment.across:
        ordered.sort(key=lambda line: (line.row.of, -_by(line, experiment.by[0])))
    published = [Line(row, {name: {-1: value} for name, value in row.values.items()}) for row in experiment.published()]
    return Table(name, experiment, [*ordered, *published], [one for one in records if one.state != "finished"])


def sentences(of: Table) -> list[str]:
    """Returns what the table says of our row beside the others, those first that are above it."""
    found = []
    for sort in dict.fromkeys(line.row.of for line in of.lines):
        ours = of.ours(sort)
        if ours is None:
            if of.experiment.ours:
                found.append(f"{of.experiment.ours} has no numbers yet, so nothing is compared with it.")
            continue
        where = "the network alone" if sort == "network" else "what is served"
        for name in of.compared_by:
            label = next((one.label for one in of.experiment.columns if one.name == name), name)
            found.append(_sentence(of, ours, name, f"{label} of {where}"))
    return sorted(dict.fromkeys(found), key=lambda one: not one.startswith("**"))


def _sentence(of: Table, ours: Line, name: str, what: str) -> str:
    own = ours.mean(name)
    assert own is not None
    gaps = [(line, gap) for line in of.lines if line.row.of == ours.row.of and (gap := of.beside_ours(line, name))]
    gaps.sort(key=lambda pair: -_by(pair[0], name))
    if above := [_above(line, own, gap, name) for line, gap in gaps if _by(line, name) > own.value]:
        return f"**Above {ours.row.label}** ({own.value:.3f}) in {what}: {'; '.join(above)}."
    if not gaps:
        return f"{ours.row.label} has {own.value:.3f} in {what}; nothing is there to compare it with."
    rest = f"No row is above {ours.row.label} ({own.value:.3f}) in {what}"
    if own.seeds == 1:
        return f"{rest}, of one seed."
    near = sum(not apart(own, theirs) for line, _ in gaps if (theirs := line.mean(name)))
    if not near:
        return f"{rest}, intervals apart."
    even = ", ".join(line.row.label for line, gap in gaps if not gap.high < 0)
    paired = f"hold 0 for {even}" if even else "are all below 0"
    return (
        f"{rest}; the intervals of {near} of {len(gaps)} overlap with its own, those of differences in pairs of a "
        f"seed {paired}."
    )


def _above(line: Line, own: Mean, gap: Mean, name: str) -> str:
    theirs = line.mean(name)
    assert theirs is not None
    how = "intervals apart" if apart(own, theirs) else "intervals overlap"
    how = f"{gap.value:+.3f}{_brackets(gap, 3, '+')} in pairs of a seed; {how}" if gap.seeds > 1 else "one seed"
    return f"{line.row.label} ({theirs.value:.3f}, {how})"


def markdown(of: Table, about: Sequence[str]) -> str:
    """Returns the page in Markdown.

    Args:
        of: The table.
        about: Lines that say what was measured: data, config, hardware, day, commit.
    """
    shown = [one for one in of.experiment.columns if any(one.name in line.values for line in of.lines)]
    more = list(dict.fromkeys(name for line in of.lines for name in line.row.more))
    less = f"less that of {of.experiment.ours}"
    gaps = [Column(one.name, f"{one.label} {less}", one.digits + 1) for one in shown if one.name in of.compared_by]
    head = ["row", "lists of", *more, *(one.label for one in (*shown, *gaps)), *COSTS.values(), "seeds"]
    rows = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    for line in of.lines:
        labels = [line.row.label, line.row.of, *(line.row.more.get(name, "") for name in more)]
        values = [_cell(line.mean(one.name), one) for one in shown]
        values += [_cell(of.beside_ours(line, one.name), one, "+") for one in gaps]
        costs = [_cost(line.cost(name)) for name in COSTS]
        seeds = str(len(line.costs)) if line.costs else "published"
        rows.append(f"| {' | '.join([*map(text, labels), *values, *costs, seeds])} |")
    missing = [f"- {one.state}: {text(one.cell.name)}: {text(one.reason)}" for one in of.without]
    parts = [
        f"# {of.experiment.question}",
        "\n".join(f"- {one}" for one in sentences(of)),
        "\n".join(rows) if of.lines else "No row yet.",
    ]
    if missing:
        parts += ["## Cells without numbers", "\n".join(missing)]
    told = [f"- {one}" for one in (*of.experiment.told, INTERVAL, COST, *about)]
    return "\n\n".join([*filter(None, parts), "## How it was measured", "\n".join(told)]) + "\n"


def as_csv(of: Table) -> str:
    """Returns the table with every value that was measured, its interval's ends, and costs."""
    names = sorted({name for line in of.lines for name in line.values})
    more = list(dict.fromkeys(name for line in of.lines for name in line.row.more))
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    ends = [end for name in names for end in (name, f"{name}_low", f"{name}_high")]
    gaps = [name for name in of.compared_by if name in names]
    ends += [f"{name}_less_ours{end}" for name in gaps for end in ("", "_low", "_high")]
    writer.writerow(["row", "lists_of", *more, *ends, *COSTS, "seeds"])
    for line in of.lines:
        numbers: list[object] = []
        for one in (*(line.mean(name) for name in names), *(of.beside_ours(line, name) for name in gaps)):
            numbers += ["", "", ""] if one is None else [_plain(one.value), _plain(one.low), _plain(one.high)]
        costs = [_plain(cost) if (cost := line.cost(name)) is not None else "" for name in COSTS]
        labels = [line.row.label, line.row.of, *(line.row.more.get(name, "") for name in more)]
        writer.writerow([*labels, *numbers, *costs, len(line.costs) or "published"])
    return out.getvalue()


def as_json(of: Table) -> dict[str, object]:
    """Returns the table as plain data: a missing end of an interval is None."""
    return {
        "experiment": of.name,
        "sentences": sentences(of),
        "rows": [
            {
                "row": line.row.label,
                "lists_of": line.row.of,
                **line.row.more,
                "values": {name: _ends(line.mean(name)) for name in sorted(line.values)},
                "less_ours": {name: _ends(of.beside_ours(line, name)) for name in of.compared_by},
                "cost": {name: line.cost(name) for name in COSTS},
                "seeds": len(line.costs),
            }
            for line in of.lines
        ],
        "without_numbers": [{"cell": one.cell.name, "state": one.state, "reason": one.reason} for one in of.without],
    }


def _ends(one: Mean | None) -> list[float | None]:
    return [] if one is None else [end if math.isfinite(end) else None for end in one[:3]]


def _by(line: Line, name: str) -> float:
    found = line.mean(name)
    return found.value if found else -math.inf


def _cell(one: Mean | None, column: Column, sign: str = "") -> str:
    if one is None:
        return ""
    if column.yes:
        return f"{round(one.value * one.seeds)} of {one.seeds}"
    return f"{one.value:{sign}.{column.digits}f}{_brackets(one, column.digits, sign)}"


def _cost(value: float | None) -> str:
    return "" if value is None else f"{value:.{2 if value < 10 else 1 if value < 100 else 0}f}"


def _brackets(one: Mean, digits: int, sign: str = "") -> str:
    if not math.isfinite(one.low):
        return ""
    return f" [{one.low:{sign}.{digits}f}, {one.high:{sign}.{digits}f}]"


def _plain(value: float) -> str:
    return f"{value:.6g}" if math.isfinite(value) else ""
