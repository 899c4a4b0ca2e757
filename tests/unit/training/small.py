"""Small data sets for training tests."""

import numpy as np

from finest.data.dataset import Dataset
from finest.data.schema import Manifest


def dataset(users: int = 12, items: int = 60, longest: int = 25, seed: int = 0, exclude_seen: bool = False) -> Dataset:
    """Users with 2 to `longest` random interactions each, the last of each held out; every item is in the training rows."""
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
    manifest = Manifest.model_construct(depth=10, exclude_seen=exclude_seen, fingerprint=f"small-{seed}-{exclude_seen}")
    ids = np.array([f"u{number:03d}" for number in range(users)], dtype=object)
    time = np.arange(len(user), dtype=np.int64)
    return Dataset(user, item.astype(np.int64), time, position, train, names, ids, names[item], manifest)
