"""From an engine's tables to the files of a data set. Strings and final codes are put to the rows here, a batch at a time."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from finest.data import schema
from finest.data.facts import Users
from finest.data.fingerprint import Fingerprint

ROWS_A_GROUP = 1 << 20


def users(ids: pa.Array, facts: Users, path: Path) -> None:
    """users.parquet: code 0 is the first user by id. The engine's code of a user, its place in `ids`, sorts like the id."""
    codes = pa.array(np.arange(len(facts.code), dtype=np.int32))
    columns = [codes, ids.take(pa.array(facts.code)), pa.array(facts.interactions), pa.array(facts.train_interactions), facts.last_train]
    pq.write_table(_table(columns, schema.USERS_SCHEMA), path)


def items(ids: pa.Array, train_of_item: np.ndarray, path: Path) -> None:
    """items.parquet: code 1 is the first item of the catalogue by id. `train_of_item`: training rows of each place in `ids`."""
    known = np.flatnonzero(train_of_item)
    codes = pa.array(np.arange(1, len(known) + 1, dtype=np.int32))
    pq.write_table(_table([codes, ids.take(pa.array(known)), pa.array(train_of_item[known])], schema.ITEMS_SCHEMA), path)


def batches(file: pa.NativeFile) -> Iterator[pa.RecordBatch]:
    """The batches of an Arrow file."""
    reader = pa.ipc.open_file(file)
    yield from map(reader.get_batch, range(reader.num_record_batches))


def interactions(
    batches: Iterable[pa.RecordBatch], user_ids: pa.Array, item_ids: pa.Array, users: np.ndarray, known_I: np.ndarray, path: Path
) -> str:
    """interactions.parquet, from rows (histories.SCHEMA) sorted by user and position. Returns the fingerprint.

    `users`: places of the users in `user_ids`, ascending; `known_I`: whether an item is in the catalogue.
    """
    user_codes = np.full(len(user_ids), -1, dtype=np.int32)
    user_codes[users] = np.arange(len(users))
    item_codes = np.where(known_I, np.cumsum(known_I), schema.PADDING).astype(np.int32)
    splits = pa.array(["test", "train"])

    fingerprint = Fingerprint()
    with pq.ParquetWriter(path, schema.INTERACTIONS_SCHEMA) as writer:
        for rows in _groups(batches):
            user, item = rows["user"].to_numpy(), rows["item"].to_numpy()
            columns = [
                user_ids.take(rows["user"]), item_ids.take(rows["item"]), rows["time"], rows["position"],
                pa.array(user_codes[user]), pa.array(item_codes[item]), splits.take(rows["train"].cast(pa.int8())),
            ]  # fmt: skip
            table = _table(columns, schema.INTERACTIONS_SCHEMA)
            fingerprint.add(table)
            writer.write_table(table, row_group_size=ROWS_A_GROUP)
    return fingerprint.hexdigest()


def _groups(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Tables of ROWS_A_GROUP rows, whatever the batches' sizes: the file's bytes depend on the rows alone."""
    waiting: list[pa.RecordBatch] = []
    rows = 0
    for batch in batches:
        waiting.append(batch)
        rows += len(batch)
        while rows >= ROWS_A_GROUP:
            table = pa.Table.from_batches(waiting)
            yield table.slice(0, ROWS_A_GROUP)
            waiting = table.slice(ROWS_A_GROUP).to_batches()
            rows -= ROWS_A_GROUP
    if rows:
        yield pa.Table.from_batches(waiting)


def _table(columns: list[pa.Array | pa.ChunkedArray], target: pa.Schema) -> pa.Table:
    return pa.table([column.cast(field.type) for column, field in zip(columns, target, strict=True)], schema=target)
