"""From rows sorted by user and time to histories: the order within ties, positions, the split.

A user is never cut in two. Shapes: N rows of a batch, U users of it, T rows of it that are tied.
"""

import hashlib
from collections.abc import Iterable, Iterator
from typing import assert_never

import numpy as np
import pyarrow as pa

from finest.data.config import Split
from finest.data.epoch import microseconds

SCHEMA = pa.schema(
    [("user", pa.int32()), ("item", pa.int32()), ("time", pa.int64()), ("position", pa.int32()), ("train", pa.bool_())],
)
"""Columns of a history: user and item (the engine's codes), time (microseconds), position from 0, whether it is trained
on."""


def histories(
    batches: Iterable[pa.RecordBatch], user_ids: pa.Array, item_ids: pa.Array, split: Split
) -> Iterator[pa.RecordBatch]:
    """Gives every row its position in its user's history, and to the training or to the held-out rows.

    Args:
        batches: Rows sorted by user, time and `sequence_number`, where there is one: user, item (the engine's codes,
            which are places in the ids), time and maybe `sequence_number`.
        user_ids: User ids by code.
        item_ids: Item ids by code.
        split: How rows are held out.

    Yields:
        Batches of whole users, in SCHEMA.
    """
    for rows in _whole_users(batches):
        user_N, time_N = rows["user"].to_numpy(), rows["time"].to_numpy()
        keys = [user_N, time_N]
        if "sequence_number" in rows.column_names:
            keys.append(rows["sequence_number"].to_numpy())
        item_N = _untied(keys, user_N, rows["item"].to_numpy(), user_ids, item_ids)
        starts_U = starts(user_N)
        size_U = np.diff(starts_U, append=len(user_N))
        position_N = np.arange(len(user_N)) - np.repeat(starts_U, size_U)
        train_N = _trained_on(position_N, time_N, size_U, split)
        yield pa.record_batch([user_N, item_N, time_N, position_N.astype(np.int32), train_N], schema=SCHEMA)


def starts(user_N: np.ndarray) -> np.ndarray:
    """Returns the place where each user begins [U], in rows sorted by user."""
    return np.flatnonzero(np.append(True, user_N[1:] != user_N[:-1]))


def _trained_on(position_N: np.ndarray, time_N: np.ndarray, size_U: np.ndarray, split: Split) -> np.ndarray:
    """Tells which rows [N] are training rows. A user's first row is never held out by number."""
    if split.method == "temporal":
        assert split.cut is not None
        return time_N < microseconds(split.cut)
    if split.method == "leave_one_out":
        held_out_U = np.minimum(size_U - 1, 1)
    elif split.method == "last_fraction":
        per_mille = round(split.fraction * 1000)  # config allows no finer fraction
        held_out_U = np.minimum((size_U * per_mille + 999) // 1000, size_U - 1)
    else:
        assert_never(split.method)
    return position_N < np.repeat(size_U - held_out_U, size_U)


def _whole_users(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Yields the rows again in tables that end where a user ends."""
    waiting: list[pa.RecordBatch] = []
    for batch in batches:
        user_N = batch["user"].to_numpy()
        if len(user_N) == 0:
            continue
        cut = int(np.searchsorted(user_N, user_N[-1]))  # the last user may go on in the next batch
        if cut or (waiting and waiting[-1]["user"][0].as_py() != user_N[0]):
            yield pa.Table.from_batches([*waiting, batch.slice(0, cut)]).combine_chunks()
            waiting = []
        waiting.append(batch.slice(cut))
    if waiting:
        yield pa.Table.from_batches(waiting).combine_chunks()


def _untied(
    keys: list[np.ndarray], user_N: np.ndarray, item_N: np.ndarray, user_ids: pa.Array, item_ids: pa.Array
) -> np.ndarray:
    """Returns the items [N], with those of rows that agree in all keys in the order of a hash of user, time and item.

    Item ids or the order in a file would order them, too, and would teach a model that item 8 follows item 7; a hash of
    the item alone would repeat one order for every user, one of user and item that of every basket which a user fills
    alike. Rows that agree in the item as well are hashed apart, or they would stand side by side: of ann's three rows
    `a`, `a`, `b` of second 7, the first `a` is sorted by hash("ann 7 a"), the second by the hash of that hash and 1,
    and `b` by hash("ann 7 b"). The result is the same in whichever order the three came.

    Args:
        keys: User, time and what else orders rows before the hash does.
        user_N: The users, as codes.
        item_N: The items, as codes.
        user_ids: User ids by code.
        item_ids: Item ids by code.
    """
    same_N = np.append(False, np.logical_and.reduce([key[1:] == key[:-1] for key in keys]))
    row_T = np.flatnonzero(same_N | np.append(same_N[1:], False))
    if not len(row_T):
        return item_N
    group_T = np.cumsum(~same_N)[row_T]
    row_T = row_T[np.lexsort([item_N[row_T], group_T])]
    item_T = item_N[row_T]
    twin_T = np.append(False, (item_T[1:] == item_T[:-1]) & (group_T[1:] == group_T[:-1]))
    number_T = np.arange(len(row_T))
    number_T -= np.maximum.accumulate(np.where(twin_T, 0, number_T))  # among rows that agree in all, from 0

    rows = zip(
        user_ids.take(pa.array(user_N[row_T])).to_pylist(),
        np.asarray(keys[1])[row_T].tolist(),
        item_ids.take(pa.array(item_T)).to_pylist(),
        strict=True,
    )
    hashes = [_hash("\x1f".join(map(str, row))) for row in rows]
    for place in np.flatnonzero(twin_T):
        hashes[place] = _hash(f"{hashes[place]:016x}{number_T[place]}")
    by_hash_T = np.lexsort([item_T, np.array(hashes, dtype=np.uint64), group_T])  # by item, should two collide
    untied_N = item_N.copy()
    untied_N[np.sort(row_T)] = item_T[by_hash_T]
    return untied_N


def _hash(text: str) -> int:
    """Returns 64 bits of a text's MD5 digest."""
    return int.from_bytes(hashlib.md5(text.encode(), usedforsecurity=False).digest()[:8], "big")
