"""The matrix as a page."""

import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import psutil

from tests.end_to_end.conftest import ROOT
from tests.faults.fault import Fault
from tests.faults.night import STEPS

SHORT = {"equal": "=", "line, then equal": "L", "killed, then equal": "K", "WRONG": "**W**", "not struck": "?"}
INTRODUCTION = """# Faults

Written by `python -m tests.faults`: a run of the whole pipeline, as small as it can be, is struck once at each step by
each fault. A cell ends well where the champion's weights, the rank lists, the verdict and the lists that are served
are, to the bit, those of a run to which nothing happens, there is one champion, no process is left, and no run is open.
Where the first run had promoted its candidate already, the same command finds nothing new and is skipped
(`preflight.skip_without_new_data`, as in nightly.yaml); lists that it had not written yet are written by
`finest recommend`.

| cell | means |
|---|---|
| = | equal at once |
| L | one clear line; what broke was mended; the same command again: equal |
| K | the command was killed, without a word; the same command again: equal |
| **W** | something else |
| ? | the moment never came |
| - | cannot happen there |
| . | not run yet |

Every file that a step reads is damaged by bits, cut off, removed and exchanged in
`tests/integration/components/test_damage_between_steps.py`; here, it is one file in a run.

With `--together`, a fault strikes step after step in one state: in one run where the run goes on through it (a second
command; services, whose minute begins anew with each step), else by one command for each step, and the same command
alone at the end. It costs a third, and is the harder trial: what one strike leaves is there at the next. Steps after
promotion are struck in states of their own, and where anything is wrong, each step is struck alone.
"""
RUNNERS: dict[str, str] = {
    "subprocess": "Steps as processes of this machine (`--runner subprocess`)",
    "docker": "Steps in containers (`--runner docker`)",
}


def here() -> dict[str, str]:
    """Returns when and on what a cell is made."""
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.strip()
    memory = psutil.virtual_memory().total / 2**30
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "commit": commit,
        "machine": f"{psutil.cpu_count()} cores, {memory:.0f} GiB",
    }


def page(results: Sequence[dict[str, Any]], faults: Sequence[Fault]) -> str:
    """Returns the page, as Markdown."""
    tables = []
    for runner, title in RUNNERS.items():
        tables += [f"## {title}", "", _table([one for one in results if one["runner"] == runner], faults, runner), ""]
    known = [one for one in results if any(fault.name == one["fault"] for fault in faults)]
    possible = sum(len(fault.steps) * len(fault.runners) for fault in faults)
    made = sorted({f"{one['date']}, {one['machine']}, commit {one['commit']}" for one in known})
    counts = ", ".join(f"{word} {count}" for word in SHORT if (count := sum(one["outcome"] == word for one in known)))
    said = [
        f"| {one['fault']} | {one['step']} | {one['runner']} | {_cell(one['said'])} |"
        for one in sorted(known, key=lambda one: (one["fault"], STEPS.index(one["step"]), one["runner"]))
        if one["said"]
    ]
    lines = [
        "## What was said",
        "",
        "| fault | step | runner | line, or what was damaged or is wrong |",
        "|---|---|---|---|",
        *said,
    ]
    return "\n".join(
        [
            INTRODUCTION,
            *tables,
            f"{len(known)} of {possible} cells: {counts}. Made on: {'; '.join(made)}.",
            f"{sum(one.get('together', 1) > 1 for one in known)} were struck together with others. All "
            f"took {sum(one['cpu_seconds'] for one in known) / 60:.0f} CPU minutes.",
            "",
            *lines,
            "",
        ]
    )


def _table(results: Sequence[dict[str, Any]], faults: Sequence[Fault], runner: str) -> str:
    found = {(one["fault"], one["step"]): one for one in results}
    rows = [["fault", *STEPS], ["---"] * (len(STEPS) + 1)]
    for fault in faults:
        cells = []
        for step in STEPS:
            one, can = found.get((fault.name, step)), step in fault.steps and runner in fault.runners
            cells.append("-" if not can else SHORT[one["outcome"]] if one else ".")
        rows.append([fault.title, *cells])
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")[:400]
