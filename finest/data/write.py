"""From an engine's tables to the files of a data set. Strings and final codes are put to the rows here, a batch at a time."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from finest.data import schema
from finest.data.facts import Users
from finest.data.fingerprint import Fingerprint

ROWS_A_GROUP = 1 << 20
_SPLITS = pa.array(["test", "train"])
_TEXT = ("user", "item", "split")
_ENCODED = pa.schema(
    [
        field.with_type(pa.dictionary(pa.int32(), pa.string())) if field.name in _TEXT else field
        for field in schema.INTERACTIONS_SCHEMA
    ]
)
"""As Parquet stores text: a dictionary a group of rows, and numbers. Readers of the file see text."""
_RISING = ("position", "user_code")
_HOW = {
    "store_schema": False,
    "use_dictionary": [name for name in schema.INTERACTIONS_SCHEMA.names if name not in _RISING],
    "column_encoding": dict.fromkeys(_RISING, "DELTA_BINARY_PACKED"),
    "write_statistics": [name for name in schema.INTERACTIONS_SCHEMA.names if name not in _TEXT],
}
"""How it is written. Numbers that rise row by row are kept as differences; least and greatest of a text column take longer than writing
it, and rows are sorted by the user's code."""


def users(ids: pa.Array, facts: Users, path: Path) -> None:
    """users.parquet: code 0 is the first user by id. The engine's code of a user, its place in `ids`, sorts like the id."""
    codes = pa.array(np.arange(len(facts.code), dtype=np.int32))
    columns = [
        codes,
        ids.take(pa.array(facts.code)),
        pa.array(facts.interactions),
        pa.array(facts.train_interactions),
        facts.last_train,
    ]
    pq.write_table(_table(columns, schema.USERS_SCHEMA), path)


def items(ids: pa.Array, train_of_item: np.ndarray, path: Path) -> None:
    """items.parquet: code 1 is the first item of the catalogue by id. `train_of_item`: training rows of each place in `ids`."""
    known = np.flatnonzero(train_of_item)
    codes = pa.array(np.arange(1, len(known) + 1, dtype=np.int32))
    pq.write_table(
        _table([codes, ids.take(pa.array(known)), pa.array(train_of_item[known])], schema.ITEMS_SCHEMA), path
    )


def batches(file: pa.NativeFile) -> Iterator[pa.RecordBatch]:
    """The batches of an Arrow file."""
    reader = pa.ipc.open_file(file)
    yield from map(reader.get_batch, range(reader.num_record_batches))


class Catalogue(NamedTuple):
    """Which of the engine's codes of items occur in the rows that are left.

    Shapes: I codes of the engine, each a place in its sorted ids.
    """

    occurs_I: np.ndarray
    known_I: np.ndarray
    """In the catalogue: in a training row."""


def interactions(
    batches: Iterable[pa.RecordBatch],
    user_ids: pa.Array,
    item_ids: pa.Array,
    users: Users,
    items: Catalogue,
    path: Path,
) -> str:
    """interactions.parquet, from rows (histories.SCHEMA) sorted by user and position. Returns the fingerprint."""
    code_of_user = np.full(len(user_ids), -1, dtype=np.int32)
    code_of_user[users.code] = np.arange(len(users.code))
    code_of_item = np.where(items.known_I, np.cumsum(items.known_I), schema.PADDING).astype(np.int32)
    place_of_item = (np.cumsum(items.occurs_I) - 1).astype(np.int32)
    user_ids, item_ids = user_ids.take(pa.array(users.code)), item_ids.filter(pa.array(items.occurs_I))

    fingerprint = Fingerprint(user_ids, users.interactions, item_ids)
    with pq.ParquetWriter(path, _ENCODED, **_HOW) as writer:
        for rows in _groups(batches):
            user_N, item_N, time_N, position_N, train_N = (column.to_numpy() for column in rows.columns)
            user_N, place_N, code_N = code_of_user[user_N], place_of_item[item_N], code_of_item[item_N]
            fingerprint.add(place_N, time_N, train_N)
            splits = pa.DictionaryArray.from_arrays(train_N.astype(np.int32), _SPLITS)
            columns = [
                _encoded(user_N, user_ids),
                _encoded(place_N, item_ids),
                time_N,
                position_N,
                user_N,
                code_N,
                splits,
            ]
            writer.write_table(pa.table(columns, schema=_ENCODED), row_group_size=ROWS_A_GROUP)
    return fingerprint.hexdigest()


def _encoded(place_N: np.ndarray, ids: pa.Array) -> pa.DictionaryArray:
    """The ids at these places, with a dictionary of those alone that occur."""
    occurs = np.zeros(len(ids), bool)
    occurs[place_N] = True
    number = (np.cumsum(occurs) - 1).astype(np.int32)
    return pa.DictionaryArray.from_arrays(number[place_N], ids.filter(pa.array(occurs)))


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
