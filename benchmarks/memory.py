"""Counts at scale, and what scoring with them costs: `python -m benchmarks.memory`, some 10 minutes of two cores.

Made-up interactions, items by Zipf's law, 50 rows a user on average (log-normal, so that some have thousands). Every
measurement is a process of its own and counts the work after its imports: CPU seconds of all threads, wall seconds, and
the process's peak of resident memory, the rows themselves included. Scoring is that of SASRec with a million items, 64
hidden units and untrained, and of 24 million entries a table made up beside it, in one thread.
"""

import argparse
import hashlib
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.fs as pafs
import torch
from scipy import sparse

from benchmarks.row import Row, Spent, alternating, in_python, measured, peak_gib, row
from finest.data import duck
from finest.data.dataset import Rows
from finest.histories import Histories
from finest.memory.config import MemoryConfig
from finest.memory.counts import MEMORY, count
from finest.memory.features import NETWORK, POPULARITY, Memory
from finest.memory.registry import FEATURES
from finest.memory.tables import PARTS, Counts
from finest.models.config import SASRecConfig
from finest.models.ranking import CHUNK, scored
from finest.models.registry import build

SMALL, LARGE = 2_000_000, 20_000_000
"""Numbers of interactions."""
PER_USER, PER_ITEM = 50, 20
"""Mean numbers of rows of a user and of an item."""
BOUND = 4.0
"""Bound of the peak of memory, in GiB."""
ITEMS, NEIGHBOURS, HISTORY = 1_000_000, 24, 40
"""Items, neighbours of each, and interactions of a history that is scored."""
REPEATS = 5


def rows() -> list[Row]:
    """Measures the rows of the benchmarks' table."""
    small = counting(SMALL, threads=1)
    large, again = counting(LARGE, threads=2), counting(LARGE, threads=1)
    if large["digest"] != again["digest"]:
        raise AssertionError("threads change the counts")
    # Seconds of 20 M rows are held against those of ten times 2 M.
    ten = Spent(10 * small["cpu_s"], 10 * small["wall_s"], small["peak_gib"])
    both, bound = [_spent(large), _spent(again)], [Spent(0, 0, BOUND)]
    found = [
        row("counts, 20 M rows, 1 M items : the bound of 4, peak GiB", both, bound, "<= 1", by="peak_gib"),
        row(
            "counts, 20 M rows, 1 M items : ten times those of 2 M and .1 M, CPU s",
            both,
            [ten],
            "<= 1.5",
            entries=large["entries"],
            equal_with_one_thread_and_two=True,
        ),
    ]
    for name, scoring in in_python("benchmarks.memory", "--side", "score").items():
        stack, network = ([Spent(*spent) for spent in scoring[side]] for side in ("stack", "network"))
        found.append(row(f"scoring {name}, 1 M items, with counts : network alone", stack, network, "<= 1.5"))
    return found


def counting(interactions: int, threads: int) -> dict[str, Any]:
    """Counts made-up rows in a process of its own."""
    found = in_python("benchmarks.memory", "--side", "count", "--rows", str(interactions), "--threads", str(threads))
    print(f"{interactions} rows, {threads} threads: {found}", file=sys.stderr, flush=True)
    return found


def _spent(found: dict[str, Any]) -> Spent:
    return Spent(found["cpu_s"], found["wall_s"], found["peak_gib"])


def count_made_up(interactions: int, threads: int) -> dict[str, Any]:
    """Counts made-up rows; returns what it took, the number of entries and a digest of all tables."""
    made, items, config, found = made_up(interactions), interactions // PER_ITEM, MemoryConfig(), list[Counts]()

    def work() -> None:
        with (
            tempfile.TemporaryDirectory() as folder,
            duck.opened(pafs.LocalFileSystem(), Path(folder), "counts", MEMORY, threads) as engine,
        ):
            found.append(count(engine, made, items, config.neighbours, config.shrink))

    took = measured(work)
    (counts,) = found
    digest = hashlib.sha256(counts.popularity.tobytes())
    for table in (counts.follows, counts.alike):
        for part in PARTS:
            digest.update(getattr(table, part).tobytes())
    entries = counts.follows.nnz + counts.alike.nnz
    return {**took._asdict(), "peak_gib": peak_gib(), "entries": entries, "digest": digest.hexdigest()}


def made_up(interactions: int) -> Rows:
    """Makes up training rows of users, most of whom have some dozens and a few have thousands."""
    random = np.random.default_rng(0)
    users, items = interactions // PER_USER, interactions // PER_ITEM
    share = random.lognormal(0, 1.2, users)
    user = np.repeat(np.arange(users), 1 + random.multinomial(interactions - users, share / share.sum()))
    sums = np.cumsum(1 / np.arange(1, items + 1))
    item = np.minimum(np.searchsorted(sums, random.random(interactions) * sums[-1]), items - 1) + 1
    id = np.arange(interactions)
    return Rows(user, item, id, id, id)


def score() -> dict[str, dict[str, list[Spent]]]:
    """Measures scoring one history, as a serving call does, and as many as are scored at a time."""
    torch.set_num_threads(1)
    model = build(SASRecConfig(max_length=50), ITEMS)
    model.initialise(0)
    memory = Memory(made_up_counts(), {NETWORK: 0.8, POPULARITY: 0.2, **dict.fromkeys(FEATURES, 0.5)})
    random = np.random.default_rng(1)
    found = {}
    for name, number in (("one history", 1), (f"{CHUNK} histories", CHUNK)):
        histories = random.integers(1, ITEMS + 1, (number, HISTORY)).tolist()

        def work(memory: Memory | None, histories: list[list[int]] = histories) -> Callable[[], None]:
            def call() -> None:
                for _ in scored(model, lambda part: Histories.of(histories[part]), len(histories), True, memory):
                    pass

            return call

        alternating(work(memory), work(None), 1)  # what is computed once
        stack, network = alternating(work(memory), work(None), REPEATS)
        found[name] = {"stack": stack, "network": network}
    return found


def made_up_counts() -> Counts:
    """Makes up counts in which every item has neighbours."""
    random = np.random.default_rng(0)
    start = np.r_[0, np.arange(ITEMS + 1) * NEIGHBOURS].astype(np.int32)
    value = random.random(ITEMS * NEIGHBOURS, np.float32)
    tables = [
        sparse.csr_array(
            (value, random.integers(1, ITEMS + 1, len(value), np.int32), start), shape=(ITEMS + 1, ITEMS + 1)
        )
        for _ in range(2)
    ]
    share = 1 / np.arange(1, ITEMS + 1)
    return Counts(np.r_[0, share / share.sum()], *tables)


def main() -> None:
    """Prints the rows, or measures one side in this process and prints JSON."""
    asked = argparse.ArgumentParser(description="Counts at scale.")
    asked.add_argument("--side", choices=("count", "score"))
    asked.add_argument("--rows", type=int, default=SMALL)
    asked.add_argument("--threads", type=int, default=1)
    given = asked.parse_args()
    if given.side == "count":
        print(json.dumps(count_made_up(given.rows, given.threads)))
    elif given.side == "score":
        print(json.dumps(score()))
    else:
        print("\n".join(one.model_dump_json() for one in rows()))


if __name__ == "__main__":
    main()
