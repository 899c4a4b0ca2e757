"""From rows sorted by user and time to histories: ties in an order of their own, positions, the split. A user is never cut in two.

Shapes: N rows of a batch, U users of it.
"""

import hashlib
from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa

from finest.data.config import Split
from finest.data.order import microseconds

SCHEMA = pa.schema(
    [("user", pa.int32()), ("item", pa.int32()), ("time", pa.int64()), ("position", pa.int32()), ("train", pa.bool_())],
)


def histories(
    batches: Iterable[pa.RecordBatch], user_ids: pa.Array, item_ids: pa.Array, split: Split
) -> Iterator[pa.RecordBatch]:
    """Batches (SCHEMA) of whole users, every row with its position in its user's history and whether it is a training row.

    `batches`: user, item (codes: places in the ids), time and maybe order, sorted by user, time and order.
    """
    for rows in _whole_users(batches):
        user_N, time_N = rows["user"].to_numpy(), rows["time"].to_numpy()
        keys = [user_N, time_N] + ([rows["order"].to_numpy()] if "order" in rows.column_names else [])
        item_N = _untied(keys, user_N, rows["item"].to_numpy(), user_ids, item_ids)
        starts_U = starts(user_N)
        size_U = np.diff(starts_U, append=len(user_N))
        position_N = np.arange(len(user_N)) - np.repeat(starts_U, size_U)
        if split.method == "temporal":
            assert split.cut is not None
            train_N = time_N < microseconds(split.cut)
        else:
            train_N = position_N < np.repeat(size_U - _held(size_U, split), size_U)
        yield pa.record_batch([user_N, item_N, time_N, position_N.astype(np.int32), train_N], schema=SCHEMA)


def starts(user_N: np.ndarray) -> np.ndarray:
    """Where each user begins, in rows sorted by user."""
    return np.flatnonzero(np.append(True, user_N[1:] != user_N[:-1]))


def _held(size_U: np.ndarray, split: Split) -> np.ndarray:
    if split.method == "leave_one_out":
        return np.asarray(np.minimum(size_U - 1, 1))
    per_mille = round(split.fraction * 1000)  # config allows no finer fraction
    return np.asarray(np.minimum((size_U * per_mille + 999) // 1000, size_U - 1))


def _whole_users(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
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
    """The items, those of rows that agree in all keys in the order of a hash of user and item.

    Item ids or the order in a file would order them, too, and would teach a model that item 8 follows item 7; a hash of the item alone
    would repeat one order for every user. Rows that agree in the item as well are hashed apart, or they would stand side by side.
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
    number_T -= np.maximum.accumulate(np.where(twin_T, 0, number_T))  # of rows alike, from 0

    pairs = zip(
        user_ids.take(pa.array(user_N[row_T])).to_pylist(), item_ids.take(pa.array(item_T)).to_pylist(), strict=True
    )
    hashes = [_hash(f"{user}\x1f{item}") for user, item in pairs]
    for place in np.flatnonzero(twin_T):
        hashes[place] = _hash(f"{hashes[place]:016x}{number_T[place]}")
    untied_N = item_N.copy()
    untied_N[np.sort(row_T)] = item_T[
        np.lexsort([item_T, np.array(hashes, dtype=np.uint64), group_T])
    ]  # item: should two collide
    return untied_N


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.md5(text.encode(), usedforsecurity=False).digest()[:8], "big")
