"""Makes the data that tests train, perturb and judge on."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from finest.data import schema
from finest.data.dataset import Dataset
from finest.data.schema import Manifest

USERS, ITEMS = 60, 250
"""Size of the file that `write_walks` writes."""
ODD_IDS = [
    *("\U0001f600", "a'b\"c`d", "two\nlines", "{{$.inputs}}", "${HOME} $(id)", "<b>&amp;</b>", "[bold]", "a,b;c|d"),
    *("NULL", "NA", "nan", "None", "true", "\\N", "7", "007", "7.0", "1e3", "0x10", "-0", "-", "'", 'say "hi"', "#1"),
    *(" before", "after ", "\ttabs\t", "a  b", "\u200frtl\u202e", "\u2028", "\x1b[2J", "\x7f", "a/../b", "%00%41"),
    *("a\u0301", "\xe1", "\ufb01", "fi", "FI", "Z\u00fcrich", "\u65e5\u672c", "x" * 2000),
]
"""Ids that programs take for something else, or for each other."""


def random_dataset(
    users: int = 12, items: int = 60, longest: int = 25, seed: int = 0, exclude_seen: bool = False
) -> Dataset:
    """Makes users with 2 to `longest` random interactions, the last of each held out; training rows have every item."""
    generator = np.random.default_rng(seed)
    lengths = generator.integers(2, longest + 1, users)
    user = np.repeat(np.arange(users), lengths)
    position = np.concatenate([np.arange(length) for length in lengths])
    item = generator.integers(1, items + 1, len(user))
    train = position < lengths[user] - 1
    missing = np.setdiff1d(np.arange(1, items + 1), item[train])
    item[np.flatnonzero(train)[: len(missing)]] = missing
    item[~np.isin(item, item[train])] = item[train][0]
    names = np.array([""] + [f"i{number:03d}" for number in range(1, items + 1)], dtype=object)
    facts: Any = {"depth": 10, "exclude_seen": exclude_seen, "fingerprint": f"small-{seed}-{exclude_seen}"}
    manifest = Manifest.model_construct(**facts)
    ids = np.array([f"u{number:03d}" for number in range(users)], dtype=object)
    time = np.arange(len(user), dtype=np.int64)
    return Dataset(user, item.astype(np.int64), time, position, train, names, ids, names[item], manifest)


def written_dataset(
    histories: dict[str, str], depth: int = 10, exclude_seen: bool = True, timestamps: list[int] | None = None
) -> Dataset:
    """Makes a data set of histories that are written out in a test.

    Args:
        histories: Each user's items in order, held-out ones behind a bar: `{"ann": "a b c | d"}`. The catalogue is the
            training rows' items, by id.
        depth: Length of the lists that are taken of it.
        exclude_seen: Whether lists leave out what a user has seen.
        timestamps: Of all rows; by default a user's rows are a second apart, and all users start at 0.
    """
    user, item, position, train = [], [], [], []
    for number, history in enumerate(histories.values()):
        before, _, after = history.partition("|")
        for place, word in enumerate(before.split() + after.split()):
            user.append(number)
            item.append(word)
            position.append(place)
            train.append(place < len(before.split()))
    catalogue = sorted({word for word, trained in zip(item, train, strict=True) if trained})
    code = {word: number for number, word in enumerate(catalogue, start=1)}
    facts: Any = {"depth": depth, "exclude_seen": exclude_seen, "fingerprint": "0" * 64}
    return Dataset(
        user=np.array(user, dtype=np.int64),
        item=np.array([code.get(word, 0) for word in item], dtype=np.int64),
        timestamp=np.array(position if timestamps is None else timestamps, dtype=np.int64),
        position=np.array(position, dtype=np.int64),
        train=np.array(train, dtype=bool),
        item_ids=np.array(["", *catalogue], dtype=object),
        user_ids=np.array(list(histories), dtype=object),
        target_ids=np.array(item, dtype=object),
        manifest=Manifest.model_construct(**facts),
    )


def write_walks(path: Path, users: int = USERS, items: int = ITEMS, seed: int = 0) -> Path:
    """Writes a CSV file that a model can learn something from: users who walk through the catalogue in short steps.

    Columns are user_id, item_id and timestamp; every user has 30 to 59 interactions.
    """
    random = np.random.default_rng(seed)
    lines = ["user_id,item_id,timestamp"]
    for user in range(users):
        time, item = 1_600_000_000 + int(random.integers(1_000_000)), int(random.integers(items))
        for _ in range(int(random.integers(30, 60))):
            lines.append(f"u{user:03d},i{item:03d},{time}")
            time += int(random.integers(1, 5_000))
            item = int(random.integers(items)) if random.random() < 0.2 else int((item + random.integers(1, 6)) % items)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")
    return path


def stored(data: Dataset, folder: Path) -> Path:
    """Writes a data set as ingest does, but for what is about its making, and returns its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    split = np.where(data.train, "train", "test")
    users = data.user_ids[data.user]
    columns = [users, data.target_ids, data.timestamp, data.position, data.user, data.item, split]
    pq.write_table(_table(columns, schema.INTERACTIONS_SCHEMA), folder / schema.INTERACTIONS)
    counts = np.bincount(data.user, minlength=len(data.user_ids))
    trained = np.bincount(data.user[data.train], minlength=len(data.user_ids))
    nothing: Any = [None] * len(data.user_ids)
    of_users = [np.arange(len(counts)), data.user_ids, counts, trained, nothing]
    pq.write_table(_table(of_users, schema.USERS_SCHEMA), folder / schema.USERS)
    of_items = [np.arange(1, data.items + 1), data.item_ids[1:], data.item_counts[1 : data.items + 1]]
    pq.write_table(_table(of_items, schema.ITEMS_SCHEMA), folder / schema.ITEMS)
    return folder


def _table(columns: list[Any], target: pa.Schema) -> pa.Table:
    return pa.table([pa.array(list(one), field.type) for one, field in zip(columns, target, strict=True)], target)
