"""The cost of a night by the size of its window: `python -m benchmarks.scale`, 10 minutes of two cores.

Made-up interactions (100 a user, items by Zipf's law), default config, float32 on CPU. Columns: CPU seconds and peak
memory of ingest; microseconds of CPU that a training target takes in an epoch of pretraining, in one of fine-tuning,
and in the one pass that takes reference lists. Everything that docs/sizing.md computes for larger windows follows
from these.
"""

import multiprocessing
import tempfile
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from benchmarks.row import peak_gib
from benchmarks.validation import base_model, fine_tune
from finest.data.config import Ingest
from finest.data.dataset import load
from finest.data.ingest import ingest
from finest.peak import GIB
from finest.training import references
from finest.training.config import Finetune, Pretrain
from storage import resolve

SIZES = ((100_000, 1_700, True), (1_000_000, 10_000, True), (10_000_000, 50_000, False))
"""Numbers of interactions and of items, and whether a model is trained too."""
COLUMNS = {
    "interactions": 12,
    "items": 6,
    "ingest CPU s": 12,
    "peak GB": 7,
    "pretrain us": 11,
    "finetune us": 11,
    "references us": 13,
}
"""Title and width of each column."""
PER_USER = 100
DAY = 86_400


def main() -> None:
    """Prints the table."""
    print(" ".join(f"{name:>{width}}" for name, width in COLUMNS.items()))
    for interactions, items, trained in SIZES:
        with tempfile.TemporaryDirectory() as name:
            source = Path(name, "source.parquet")
            _in_a_process(write, interactions, items, source)
            print(_in_a_process(row, interactions, items, trained, source), flush=True)


def _in_a_process(work: Callable[..., Any], *arguments: Any) -> Any:
    """Runs the work in a process of its own: the peak of memory is a process's."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(work, arguments)


def row(interactions: int, items: int, trained: bool, file: Path) -> str:
    """Returns a line of the table."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        source = resolve(str(file))
        before = time.process_time()
        config = Ingest.model_validate({"evaluation": {"exclude_seen": False}})
        ingest(source.filesystem, source.files, config, Path(folder, "data"))
        spent, peak = time.process_time() - before, peak_gib() * GIB / 1e9
        training = per_target(Path(folder, "data")) if trained else ()
    values = [str(interactions), str(items), f"{spent:.1f}", f"{peak:.2f}", *(f"{us:.1f}" for us in training)]
    return " ".join(f"{value:>{width}}" for value, width in zip(values, COLUMNS.values(), strict=False))


def per_target(folder: Path) -> tuple[float, float, float]:
    """Returns the microseconds of CPU that a training target takes.

    In this order: an epoch of pretraining, an epoch of fine-tuning, the pass that takes reference lists.
    """
    data, recipe, tuning = load(folder), Pretrain(epochs=1), Finetune(epochs=1)
    rows = data.training_rows()
    clock = [time.process_time()]
    model = base_model(data, recipe, 0)
    clock.append(time.process_time())
    kept = references.take(model, rows, tuning.list_length)
    clock.append(time.process_time())
    fine_tune(model, data, recipe, tuning, 0, kept)
    clock.append(time.process_time())
    pretraining, taking, fine_tuning = (1e6 * (after - before) / len(kept.lists) for before, after in pairwise(clock))
    return pretraining, fine_tuning, taking


def write(interactions: int, items: int, file: Path) -> None:
    """Writes a source of that size."""
    random = np.random.default_rng(0)
    users = np.repeat(np.arange(interactions // PER_USER), PER_USER)
    weight = 1.0 / np.arange(1, items + 1)
    item = random.choice(items, size=len(users), p=weight / weight.sum())
    at = np.sort(random.integers(0, 28 * DAY, size=len(users)).reshape(-1, PER_USER), axis=1).ravel()
    pq.write_table(pa.table({"user_id": users.astype(str), "item_id": item.astype(str), "timestamp": at}), file)


if __name__ == "__main__":
    main()
