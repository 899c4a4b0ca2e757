"""Writes what an experiment has come to: a page, a table for programs, and a plot."""

import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from finest import atomic
from finest.experiments.plot import draw
from finest.experiments.record import Record
from finest.experiments.table import as_csv, markdown, table
from finest.plural import counted

PAGE, TABLE, PLOT = "table.md", "table.csv", "plot.svg"
"""Names of the files."""


def write(name: str, records: Sequence[Record], source: str, commit: str, folder: Path) -> str:
    """Writes the files to a folder and returns the page.

    Args:
        name: The experiment.
        records: What came of its cells.
        source: Name of the data.
        commit: Commit of the code; empty where it is not known.
        folder: The folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    made = table(name, records)
    seeds = len({record.cell.seed for record in records})
    day = f"{datetime.now(UTC):%Y-%m-%d}"
    about = [
        f"`finest experiment {name}` on {source}, {counted(seeds, 'seed')}, {day}, "
        f"{platform.machine()}, commit {commit or 'not known'}."
    ]
    page = markdown(made, about)
    for file, text in ((PAGE, page), (TABLE, as_csv(made))):
        with atomic.file(folder / file) as partial:
            partial.write_text(text)
    draw(made, folder / PLOT)
    return page
