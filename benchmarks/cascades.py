"""CASPER's exact counts against a breadth-first search: `python -m benchmarks.bench --only cascades`, 5 minutes.

Both count on the graph of ml-100k's training rows, from all start nodes, look-back 50. Ours builds the graph inside its
time; the search gets it built, as adjacency lists. The row's detail has ours at larger sizes, on made-up interactions
(benchmarks/scale.py).
"""

import json
import sys
import tempfile
from collections import deque
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.row import Row, in_python, measured, peak_gib, row
from benchmarks.scale import write
from benchmarks.validation import ml_100k
from finest.data.config import Ingest
from finest.data.dataset import Dataset, load
from finest.data.ingest import ingest
from finest.perturb.families.casper import cascades
from storage import resolve

LOOK_BACK = 50
REPEATS = 5
SIZES = ((100_000, 1_700), (1_000_000, 10_000), (3_000_000, 25_000))
"""Numbers of interactions and of items."""


def rows() -> list[Row]:
    """Measures the row, and fails if one count differs from the search's."""
    data = ml_100k()
    start, reached = cascades(data, LOOK_BACK)
    ours = [measured(lambda: cascades(data, LOOK_BACK)) for _ in range(REPEATS)]
    after = adjacency(data)
    found: dict[int, int] = {}
    peer = [measured(lambda: found.update({node: search(after, node) for node in start.tolist()}))]
    assert found == dict(zip(start.tolist(), reached.tolist(), strict=True))
    graph = {"start nodes": len(start), "visits": int(reached.sum()), "most": int(reached.max())}
    sizes = {f"{interactions:,} rows": larger(interactions, items) for interactions, items in SIZES}
    return [
        row("CASPER's exact counts, ml-100k : breadth-first search", ours, peer, ">= 150", graph=graph, larger=sizes)
    ]


def adjacency(data: Dataset) -> dict[int, list[int]]:
    """Returns the rows that follow each training row in the graph, by its definition.

    These are the next row of its user and the next of its item, among the last `LOOK_BACK - 1` of the chain.
    """
    after: dict[int, list[int]] = {row: [] for row in np.flatnonzero(data.train).tolist()}
    chains: dict[tuple[str, int], list[int]] = {}
    for node in after:
        chains.setdefault(("user", int(data.user[node])), []).append(node)
    for node in sorted(after, key=lambda node: (data.timestamp[node], node)):
        chains.setdefault(("item", int(data.item[node])), []).append(node)
    for chain in chains.values():
        recent = chain[-(LOOK_BACK - 1) :]
        for left, right in pairwise(recent):
            after[left].append(right)
    return after


def search(after: dict[int, list[int]], start: int) -> int:
    """Counts the nodes that can be reached from `start`."""
    seen, waiting = {start}, deque([start])
    while waiting:
        for node in after[waiting.popleft()]:
            if node not in seen:
                seen.add(node)
                waiting.append(node)
    return len(seen) - 1


def larger(interactions: int, items: int) -> dict[str, Any]:
    """Measures ours at a size, in a process of its own, whose `peak_gib` includes the data set."""
    with tempfile.TemporaryDirectory() as folder:
        write(interactions, items, Path(folder, "source.parquet"))
        source = resolve(str(Path(folder, "source.parquet")))
        config = Ingest.model_validate({"evaluation": {"exclude_seen": False}})
        ingest(source.filesystem, source.files, config, Path(folder, "data"))
        return in_python("benchmarks.cascades", folder)


def counted(folder: Path) -> None:
    """Prints what counting takes on the data set in `folder`, as JSON."""
    data = load(folder / "data")
    before = peak_gib()
    spent = measured(lambda: cascades(data, LOOK_BACK))
    start, reached = cascades(data, LOOK_BACK)
    graph = {"start nodes": len(start), "visits": int(reached.sum())}
    print(json.dumps({**spent._asdict(), "peak_gib": peak_gib(), "loaded_gib": before, **graph}))


if __name__ == "__main__":
    counted(Path(sys.argv[1]))
