"""Rows that need a GPU: `python -m benchmarks.bench --gpu`.

They are trainings of eight variants against one at two sizes, and the whole DAG.
"""

import sys
import tempfile
from pathlib import Path

from benchmarks.row import Row, in_process, row
from benchmarks.scale import write
from benchmarks.validation import ml_100k
from benchmarks.variants import dag, trained
from finest.data.config import Ingest
from finest.data.dataset import Dataset, load
from finest.data.ingest import ingest
from finest.training.config import Pretrain
from storage import resolve

REPEATS = 3
INTERACTIONS, ITEMS = 20_000_000, 27_000
"""Numbers of interactions and of items of ml-20m."""
LARGE = Pretrain(device="cuda", epochs=1, batch_size=256)


def rows() -> list[Row]:
    """Measures the rows."""
    found = []
    sizes = (("ml-100k", ml_100k(), Pretrain(device="cuda"), "<= 2"), ("ml-20m's size", ml_20m(), LARGE, "<= 4"))
    for name, data, config, target in sizes:
        trained(data, 1, config)  # the first start of CUDA
        one, eight = zip(*[(trained(data, 1, config), trained(data, 8, config)) for _ in range(REPEATS)], strict=True)
        found.append(row(f"training call of 8 variants : of 1, GPU, {name}", eight, one, target, by="wall_s"))
    bare = [in_process([sys.executable, "-m", "benchmarks.variants"])[0] for _ in range(REPEATS)]
    whole = [dag(device="cuda") for _ in range(REPEATS)]
    return [
        *found,
        row(
            "whole DAG with 8 variants on a GPU : bare training script, one CPU thread",
            whole,
            bare,
            "<= 2.5",
            by="wall_s",
        ),
    ]


def ml_20m() -> Dataset:
    """Makes up as many interactions as ml-20m has."""
    with tempfile.TemporaryDirectory() as folder:
        write(INTERACTIONS, ITEMS, Path(folder, "source.parquet"))
        source = resolve(str(Path(folder, "source.parquet")))
        config = Ingest.model_validate({"evaluation": {"exclude_seen": False}})
        ingest(source.filesystem, source.files, config, Path(folder, "data"))
        return load(Path(folder, "data"))
