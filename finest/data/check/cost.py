"""About how long a run takes, and what it leaves, from what was measured (docs/benchmarks.md)."""

from typing import NamedTuple

CPU_S_STEPS = 30.0
"""CPU seconds of all steps but training: the whole DAG of quickstart, without its trainings."""
CPU_S_ROW = 1.5e-5
"""CPU seconds a training row and epoch, of a model of 64 hidden units and 1,682 items: quickstart's 247 CPU s over 7
variants, 23 epochs and 89,561 rows."""
ITEMS = 1_682
"""Items of that catalogue. About half of the time grows with the catalogue."""
DISK_GB, LIST_BYTES = 0.05, 8
"""MLflow's store and the report; bytes of an item in a rank list, with its score."""


class Cost(NamedTuple):
    """Holds about what a run takes."""

    cpu_minutes: float
    disk_gb: float
    """What the run leaves (1e9 bytes)."""


def cost(
    rows: float, train_rows: float, items: float, instances: float, depth: int, epochs: int, variants: int
) -> Cost:
    """Returns about what a run takes.

    Args:
        rows: Rows of the source.
        train_rows: Training rows.
        items: Items of the catalogue.
        instances: Held-out rows that are ranked.
        depth: Length of a list.
        epochs: Epochs of a variant, fine-tuning included.
        variants: Number of variants that are trained.

    >>> round(cost(100_000, 89_561, 1_682, 10_439, 100, 23, 7).cpu_minutes, 1)
    4.1
    """
    cpu_s = CPU_S_STEPS + CPU_S_ROW * train_rows * epochs * variants * (1 + items / ITEMS) / 2
    lists = 2 * variants * instances * depth * LIST_BYTES
    return Cost(cpu_s / 60, DISK_GB + (lists + rows * 30 + items * 300) / 1e9)
