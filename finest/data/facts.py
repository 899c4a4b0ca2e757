"""What the manifest says about histories and instances, counted batch by batch over whole users.

There are two passes, because a held-out row is an instance only if an item of the catalogue is before it, and the first
pass finds the catalogue. Shapes: N rows of a batch, U users of it, I items by the engine's code.
"""

from collections import Counter
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from finest.data.histories import starts

COUNTED = (
    "users",
    "interactions",
    "train_interactions",
    "users_cut_inside_a_tie",
    "instances",
    "cold_rows",
    "targets_outside_catalogue",
    "targets_in_history",
    "repeats",
)
"""Names of the counts that are added up over batches, as in the manifest."""


class Users(NamedTuple):
    """Holds the users, sorted by code."""

    code: np.ndarray
    """The engine's code of each."""
    interactions: np.ndarray
    """Number of rows of each."""
    train_interactions: np.ndarray
    """Number of training rows of each."""
    last_train: pa.Array
    """Time of the last training row of each, microseconds; null where there is none."""


class FirstPass:
    """Finds the users, and which items are in the catalogue."""

    def __init__(self, items: int) -> None:
        """Takes the number of items that the engine has given a code."""
        self.train_of_item = np.zeros(items, dtype=np.int64)
        """Number of training rows of each item [I]."""
        self.occurs = np.zeros(items, dtype=bool)
        """Whether an item has a row at all [I]."""
        self.counts: Counter[str] = Counter()
        """Counts over all batches so far, by a name of COUNTED."""
        self._users: list[tuple[np.ndarray, ...]] = []
        self._times: list[tuple[int, int]] = []

    def add(self, rows: pa.RecordBatch) -> None:
        """Takes a batch of whole users, in histories.SCHEMA."""
        user_N, item_N, time_N, _, train_N = (column.to_numpy(zero_copy_only=False) for column in rows.columns)
        starts_U = starts(user_N)
        size_U = np.diff(starts_U, append=len(user_N))
        train_U = np.add.reduceat(train_N, starts_U, dtype=np.int32)  # training rows come first
        last_U = time_N[starts_U + np.maximum(train_U - 1, 0)]
        first_test_U = time_N[starts_U + np.minimum(train_U, size_U - 1)]
        self.train_of_item += np.bincount(item_N[train_N], minlength=len(self.train_of_item))
        self.occurs[item_N] = True
        self._users.append((user_N[starts_U], size_U.astype(np.int32), train_U, last_U))
        self._times.append((int(time_N.min()), int(time_N.max())))
        both_U = (train_U > 0) & (train_U < size_U)
        self.counts.update(
            {
                "users": len(starts_U),
                "interactions": len(user_N),
                "train_interactions": int(train_U.sum()),
                "users_cut_inside_a_tie": int((both_U & (last_U == first_test_U)).sum()),
            }
        )

    def users(self) -> Users:
        """Returns all users so far."""
        if not self._users:
            return Users(np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros(0, np.int32), pa.array([], pa.int64()))
        code, size, train, last = (np.concatenate(parts) for parts in zip(*self._users, strict=True))
        return Users(code, size, train, pa.array(last, mask=train == 0))

    def times(self) -> dict[str, int]:
        """Returns first_timestamp, last_timestamp and last_train_timestamp so far, microseconds; 0 without rows."""
        first, last = zip(*self._times, strict=True) if self._times else ((0,), (0,))
        last_train = pc.max(self.users().last_train).as_py()
        return {"first_timestamp": min(first), "last_timestamp": max(last), "last_train_timestamp": last_train or 0}


def of_instances(rows: pa.RecordBatch, known_I: np.ndarray) -> Counter[str]:
    """Counts the instances of a batch of whole users, in the second pass.

    Args:
        rows: Rows in histories.SCHEMA.
        known_I: Whether the catalogue has an item.

    Returns:
        `instances`, `cold_rows`, `targets_outside_catalogue` and `targets_in_history` as in the manifest, and
        `repeats`: interactions that repeat an earlier user-item pair.
    """
    user_N, item_N, _, position_N, train_N = (column.to_numpy(zero_copy_only=False) for column in rows.columns)
    starts_U = starts(user_N)
    size_U = np.diff(starts_U, append=len(user_N))
    known_N = known_I[item_N]
    # The position of a user's first item of the catalogue; every later row has a history.
    since_U = np.minimum.reduceat(np.where(known_N, position_N, np.iinfo(np.int32).max), starts_U)
    held_out_N = ~train_N
    instance_N = held_out_N & (position_N > np.repeat(since_U, size_U))

    number_N = np.repeat(np.arange(len(starts_U), dtype=np.int64), size_U)
    pair_N = np.sort((number_N << 32) | (item_N.astype(np.int64) << 1) | held_out_N)  # by pair, training rows first
    first_N = np.append(True, pair_N[1:] >> 1 != pair_N[:-1] >> 1)
    # Held out, and not the first of its pair.
    again_N = ~first_N & (pair_N & 1 == 1) & known_I[(pair_N >> 1) & 0x7FFFFFFF]
    return Counter(
        instances=int(instance_N.sum()),
        cold_rows=int((held_out_N & ~instance_N).sum()),
        targets_outside_catalogue=int((instance_N & ~known_N).sum()),
        targets_in_history=int(again_N.sum()),
        repeats=int((~first_N).sum()),
    )
