"""Measures the benchmarks' table: `python -m benchmarks.bench [--gpu] [--only GROUP ...] [--check]`.

Runs the groups of rows, prints them and writes benchmarks/latest.json (with `--gpu`: latest-gpu.json): hardware, date,
commit, rows. A group that was not asked for keeps its rows. `--check` runs nothing: it compares a table (`--table`)
with the committed one, by ratios. `--markdown` runs nothing either: it prints a table for docs/benchmarks.md.
"""

import argparse
import importlib
import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import torch

from benchmarks.row import Row, bound
from finest.section import Section

FOLDER = Path(__file__).parent
GROUPS = ("list_metrics", "cascades", "ingest", "training", "convergence", "variants", "quickstart")
GPU_GROUPS = ("gpu",)
"""Modules of this folder; each has `rows() -> list[Row]`."""
TOLERANCE = 0.25
"""How much worse than the committed one a ratio may be, as a share.

Ratios of one machine and hour differ by a tenth between runs.
"""


class Group(Section):
    """The rows of a group, and what they were measured on."""

    date: str
    commit: str
    hardware: str
    load: float
    """Number of processes that wanted a core when the group began (mean of a minute), this one among them."""
    rows: list[Row]


Table = dict[str, Group]


def main() -> int:
    """Runs the command and returns its exit code."""
    asked = argparse.ArgumentParser(description="Ratios against named peers.")
    asked.add_argument("--gpu", action="store_true", help="the rows of a GPU")
    asked.add_argument("--only", nargs="+", default=[], metavar="GROUP", help=f"of {', '.join(GROUPS + GPU_GROUPS)}")
    asked.add_argument("--table", type=Path, help="where the table is written, or what --check looks at")
    asked.add_argument("--check", action="store_true", help="compare --table with the committed table, and run nothing")
    asked.add_argument("--markdown", action="store_true", help="print --table for the documentation, and run nothing")
    given = asked.parse_args()
    name = "latest-gpu.json" if given.gpu else "latest.json"
    file = given.table or FOLDER / name
    if given.check:
        return check(read(file), committed(f"{FOLDER.name}/{name}"))
    if given.markdown:
        print(markdown(read(file)))
        return 0
    if given.gpu and not torch.cuda.is_available():
        print("no CUDA device: the rows of a GPU cannot be measured here", file=sys.stderr)
        return 2
    for group in given.only or (GPU_GROUPS if given.gpu else GROUPS):
        measured = measure(group)
        table = {name: one.model_dump() for name, one in (read(file) | {group: measured}).items()}
        file.write_text(json.dumps(table, indent=1) + "\n")
        show(measured.rows)
    return 0


def measure(group: str) -> Group:
    """Runs a group and returns its rows with the date, the commit and the hardware."""
    about = {
        "date": datetime.now(UTC).date().isoformat(),
        "commit": commit(),
        "hardware": hardware(),
        "load": os.getloadavg()[0],
    }
    found = importlib.import_module(f"benchmarks.{group}").rows()
    return Group.model_validate(
        {**about, "rows": [one if isinstance(one, dict) else one.model_dump() for one in found]}
    )


def read(file: Path) -> Table:
    """Reads a table; a file that is not there is an empty one."""
    return parse(file.read_text()) if file.is_file() else {}


def parse(text: str) -> Table:
    """Parses a table from JSON."""
    return {name: Group.model_validate(group) for name, group in json.loads(text).items()}


def committed(path: str) -> Table:
    """Returns the table at HEAD; `path` counts from the root of the repository."""
    found = subprocess.run(["git", "show", f"HEAD:{path}"], cwd=FOLDER.parent, capture_output=True, text=True)
    return parse(found.stdout) if found.returncode == 0 else {}


def check(found: Table, before: Table) -> int:
    """Prints what got worse, and returns 1 if anything did."""
    worse = regressions(rows_of(found), rows_of(before))
    print("\n".join(worse) or f"no ratio is worse than the committed one by more than {TOLERANCE:.0%}")
    return 1 if worse else 0


def regressions(found: Iterable[Row], before: Iterable[Row], tolerance: float = TOLERANCE) -> list[str]:
    """Returns a sentence for each row that got worse.

    A row got worse if its ratio is worse by more than `tolerance`, if it misses a target that it met, or if it is gone.
    Ratios are compared, never times: they hold on another machine.
    """
    rows = {row.row: row for row in found}
    return [sentence for old in before if (sentence := _regression(rows.get(old.row), old, tolerance))]


def _regression(new: Row | None, old: Row, tolerance: float) -> str | None:
    if new is None:
        return f"{old.row}: not measured, was {old.ratio:.3g}"
    compare, _ = bound(old.target)
    allowed = old.ratio / (1 + tolerance) if compare(1, 0) else old.ratio * (1 + tolerance)
    if not compare(new.ratio, allowed):
        return f"{new.row}: {new.ratio:.3g}, was {old.ratio:.3g}, allowed {allowed:.3g}"
    if old.met and not new.met:
        return f"{new.row}: {new.ratio:.3g} misses its target, {new.target}, which was met"
    return None


def rows_of(table: Table) -> list[Row]:
    """Returns the rows of all groups."""
    return [row for group in table.values() for row in group.rows]


def show(rows: Iterable[Row]) -> None:
    """Prints rows for a terminal."""
    print(f"{'row':90} {'ours':>9} {'peer':>9} {'ratio':>8}  {'':4} target")
    for row in rows:
        numbers = f"{row.ours:>9.4g} {row.peer:>9.4g} {row.ratio:>8.3g}"
        print(f"{row.row:90} {numbers}  {'met' if row.met else 'MISS':4} {row.target}", flush=True)


def markdown(table: Table) -> str:
    """Returns the table of docs/benchmarks.md: medians, and whether a row compares CPU or wall seconds."""
    lines = [
        "| row | by | ours | peer | ratio | target | met | commit, date, load |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for group in table.values():
        for row in group.rows:
            by = row.detail.get("by", "")
            sides = " | ".join(f"{value:.4g}" for value in (row.ours, row.peer, row.ratio))
            about = f"{group.commit}, {group.date}, {group.load:.0f}"
            lines.append(f"| {row.row} | {by} | {sides} | {row.target} | {'yes' if row.met else 'no'} | {about} |")
    return "\n".join(lines)


def commit() -> str:
    """Returns the commit that is checked out, with `+` behind it if files were changed."""

    def git(*words: str) -> str:
        return subprocess.run(["git", *words], cwd=FOLDER.parent, capture_output=True, text=True).stdout.strip()

    changed = git("status", "--porcelain", "--untracked-files=no", "--", ":!benchmarks/*.json")
    return git("rev-parse", "--short", "HEAD") + ("+" if changed else "")


def hardware() -> str:
    """Describes the machine in one line."""
    gpu = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    return f"{os.cpu_count()} cores {_cpu()}{gpu}, torch {torch.__version__}, Python {platform.python_version()}"


def _cpu() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").is_file() else []
    named = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or platform.machine())


if __name__ == "__main__":
    sys.exit(main())
