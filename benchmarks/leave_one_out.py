"""ml-100k cut as recommender papers cut it, the same for us and for peers.

Each user's last interaction tests, the one before validates.
"""

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np

from benchmarks.validation import ingested
from finest.data.config import Ingest
from finest.data.cuts import split
from finest.data.dataset import Dataset, Instances, Ints
from storage import demo_data


@cache
def leave_one_out() -> Dataset:
    """Returns all rows, with the last two of each user held out.

    Seen items are not left out of lists: RecBole leaves them in.
    """
    config = Ingest.model_validate(
        {"split": {"method": "leave_one_out"}, "evaluation": {"exclude_seen": False}, "min_user_interactions": 1}
    )
    data = ingested(demo_data.fetch("ml-100k"), config)
    return split(data, data.position < _length(data) - 2, np.ones(len(data.user), bool))


def validating(data: Dataset) -> Instances:
    """Returns the instance of the interaction before the last of each user."""
    return _from_end(data, 2)


def testing(data: Dataset) -> Instances:
    """Returns the instance of the last interaction of each user."""
    return _from_end(data, 1)


def write_inter(data: Dataset, folder: Path) -> Path:
    """Writes `folder/rows/rows.inter` in this data's order.

    RecBole's sort by time is stable, so ties stay as they are here.
    """
    (folder / "rows").mkdir(parents=True, exist_ok=True)
    rows = zip(data.user_ids[data.user], data.target_ids, data.timestamp // 1_000_000, strict=True)
    lines = ["user_id:token\titem_id:token\ttimestamp:float", *(f"{user}\t{item}\t{at}" for user, item, at in rows)]
    (folder / "rows" / "rows.inter").write_text("\n".join(lines) + "\n")
    return folder


def _length(data: Dataset) -> Ints:
    lengths: Ints = np.bincount(data.user)[data.user]
    return lengths


def _from_end(data: Dataset, place: int) -> Instances:
    instances = data.instances()
    chosen = data.position[instances.row] == _length(data)[instances.row] - place
    columns = {name: getattr(instances, name)[chosen] for name in ("row", "user", "position", "target")}
    return replace(instances, **columns)
