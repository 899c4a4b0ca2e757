"""About how much memory each step takes, from what `python -m benchmarks.peaks` measured (docs/sizing.md)."""

from dataclasses import dataclass

from finest.peak import GIB

WEIGHT_BYTES = 64 * 4 * 5
"""Bytes an item of a training: 64 numbers, with their gradients, two moments and the average."""
NEIGHBOUR_BYTES = 16
"""Bytes of a neighbour of an item, in the two tables of what is counted."""
SCORE_BYTES = 8
"""Bytes of a score that is being computed, its gradient among them."""
TARGETS = 64
"""Targets whose scores are computed at a time where there are many items: a chunk of finest/training/chunked.py."""
COUNTS_BYTES = 450 << 20
"""Most that the engine takes for counts beside what is kept of them; beyond, it goes to disk."""


@dataclass(frozen=True)
class Size:
    """Holds what memory grows with."""

    rows: float
    """Rows of the source."""
    train_rows: float
    """Training rows."""
    items: float
    """Items of the catalogue."""
    instances: float
    """Held-out rows that are ranked."""
    depth: int
    """Length of a rank list."""
    lists: int
    """Files of rank lists that the gate reads: of each variant and stage, of the champion, of simple recommenders."""
    top_k: int
    """Length of a reference list."""
    neighbours: int
    """Neighbours of an item in what is counted; 0 where nothing is."""


def steps_gib(of: Size) -> dict[str, float]:
    """Returns the peak of each step on a CPU, in GiB: of a training step, of each process that it trains in.

    >>> size = Size(1e6, 995_000, 1_000, 5_000, 100, 33, 20, 100)
    >>> {step: round(gib, 1) for step, gib in steps_gib(size).items()}
    {'ingest': 0.6, 'champion': 0.9, 'perturb': 0.5, 'calibrate': 1.3, 'pretrain': 0.9, 'finetune': 0.7, 'gate': 0.7}
    """
    training = of.items * (WEIGHT_BYTES + of.neighbours * NEIGHBOUR_BYTES + TARGETS * SCORE_BYTES) / GIB
    bytes_more = {
        "ingest": 59 * of.rows,
        "champion": 113 * of.train_rows + min(97 * of.train_rows, COUNTS_BYTES) + 2_100 * of.instances,
        "perturb": 120 * of.train_rows,
        "calibrate": 255 * of.train_rows,
        "pretrain": 293 * of.train_rows + 2_100 * of.instances,
        "finetune": (220 + 8 * of.top_k) * of.train_rows + 2_800 * of.instances,
        "gate": (4 * of.depth * of.lists + 3_500) * of.instances,
    }
    least = {
        "ingest": 0.55,
        "champion": 0.65,
        "perturb": 0.42,
        "calibrate": 1.07,
        "pretrain": 0.60 + training,
        "finetune": 0.35 + training,
        "gate": 0.6,
    }
    return {step: least[step] + more / GIB for step, more in bytes_more.items()}
