"""`make run` after installation: `python -m benchmarks.bench --only quickstart`, about 4 minutes of two quiet cores.

The bounds are in seconds, so they hold for a machine like the one that docs/benchmarks.md names, when nothing else runs
on it.
"""

import sys
import tempfile

from benchmarks.row import Row, Spent, in_process, row
from pipeline.config import QUICKSTART

REPEATS = 1
WALL_S, CPU_S = 300.0, 430.0


def rows() -> list[Row]:
    """Measures the rows."""
    spent = [run() for _ in range(REPEATS)]
    bound = Spent(CPU_S, WALL_S)
    return [
        row("quickstart, wall s : 5 minutes", spent, [bound], "<= 1", by="wall_s"),
        row("quickstart, CPU s : 430", spent, [bound], "<= 1"),
    ]


def run() -> Spent:
    """Runs the whole pipeline from nothing, promoted or refused."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pipeline", "run", "--config", str(QUICKSTART), "--state", folder]
        return in_process(command, codes=(0, 3))[0]
