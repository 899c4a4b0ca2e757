"""Makes up data of any number of items, for what a catalogue's size costs."""

from typing import Any

import numpy as np

from finest.data.dataset import Dataset
from finest.data.schema import Manifest

HISTORY = 40
"""Number of interactions of a user, the last of which is held out."""


def synthetic(items: int, users: int) -> Dataset:
    """Returns users of a catalogue, all of whose items can be ranked, though most were never chosen if it is large.

    >>> data = synthetic(items=1000, users=3)
    >>> len(data.item), data.items, int(data.train.sum())
    (120, 1000, 117)
    """
    user, position = np.repeat(np.arange(users), HISTORY), np.tile(np.arange(HISTORY), users)
    item = np.random.default_rng(0).integers(1, items + 1, len(user))
    names = np.array(["", *map(str, range(1, items + 1))], dtype=object)
    # Of the manifest, only what trainings and rank lists read.
    facts: dict[str, Any] = {"depth": 100, "exclude_seen": True, "fingerprint": f"synthetic {items} {users}"}
    return Dataset(
        user=user.astype(np.int64),
        item=item.astype(np.int64),
        timestamp=np.arange(len(user), dtype=np.int64),
        position=position.astype(np.int64),
        train=position < HISTORY - 1,
        item_ids=names,
        user_ids=np.array([*map(str, range(users))], dtype=object),
        target_ids=names[item],
        manifest=Manifest.model_construct(**facts),
    )
