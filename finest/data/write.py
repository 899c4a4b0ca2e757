"""From an engine's tables to the files of a data set: strings and final codes are put to the rows batch by batch."""

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from finest import parquet
from finest.data import schema
from finest.data.facts import Users

ROWS_A_GROUP = 1 << 20
"""Number of rows in a row group of interactions.parquet."""
_SPLITS = pa.array(["test", "train"])
_TEXT = ("user", "item", "split")
_ENCODED = pa.schema(
    [
        field.with_type(pa.dictionary(pa.int32(), pa.string())) if field.name in _TEXT else field
        for field in schema.INTERACTIONS_SCHEMA
    ]
)
"""INTERACTIONS_SCHEMA as Parquet stores text: a dictionary a row group, and numbers. Readers of the file see text."""
_RISING = ("position", "user_code")
_HOW = {
    "store_schema": False,
    "write_page_checksum": True,
    "use_dictionary": [name for name in schema.INTERACTIONS_SCHEMA.names if name not in _RISING],
    "column_encoding": dict.fromkeys(_RISING, "DELTA_BINARY_PACKED"),
    "write_statistics": [name for name in schema.INTERACTIONS_SCHEMA.names if name not in _TEXT],
}
"""How Parquet is written. Numbers that rise row by row are kept as differences. No statistics of text: finding the
least and the greatest of a column takes longer than writing it, and rows are sorted by the user's code."""


def users(ids: pa.Array, facts: Users, path: Path) -> None:
    """Writes users.parquet, where code 0 is the first user by id.

    Args:
        ids: User ids by the engine's code, which sorts like the id.
        facts: The users that are left.
        path: The file.
    """
    codes = pa.array(np.arange(len(facts.code), dtype=np.int32))
    columns = [
        codes,
        ids.take(pa.array(facts.code)),
        pa.array(facts.interactions),
        pa.array(facts.train_interactions),
        facts.last_train,
    ]
    parquet.write(_table(columns, schema.USERS_SCHEMA), path)


def items(ids: pa.Array, train_of_item: np.ndarray, path: Path) -> None:
    """Writes items.parquet, where code 1 is the first item of the catalogue by id.

    Args:
        ids: Item ids by the engine's code.
        train_of_item: Number of training rows of each of them; those without any are not in the catalogue.
        path: The file.
    """
    known = np.flatnonzero(train_of_item)
    codes = pa.array(np.arange(1, len(known) + 1, dtype=np.int32))
    parquet.write(_table([codes, ids.take(pa.array(known)), pa.array(train_of_item[known])], schema.ITEMS_SCHEMA), path)


def batches(file: pa.NativeFile) -> Iterator[pa.RecordBatch]:
    """Yields the batches of an Arrow file."""
    reader = pa.ipc.open_file(file)
    yield from map(reader.get_batch, range(reader.num_record_batches))


class ItemCodes(NamedTuple):
    """Tells which of the engine's I item codes, each a place in its sorted ids, are in use."""

    occurs_I: np.ndarray
    """Whether a row that is left has the item."""
    known_I: np.ndarray
    """Whether the item is in the catalogue: a training row has it."""


def interactions(
    batches: Iterable[pa.RecordBatch],
    user_ids: pa.Array,
    item_ids: pa.Array,
    users: Users,
    items: ItemCodes,
    path: Path,
) -> str:
    """Writes interactions.parquet.

    Args:
        batches: Rows in histories.SCHEMA, sorted by user and position; users and items are the engine's codes.
        user_ids: User ids by the engine's code.
        item_ids: Item ids likewise.
        users: The users that are left.
        items: The items that are left.
        path: The file.

    Returns:
        The fingerprint.
    """
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
    """Returns the ids at these places, with a dictionary of those alone that occur."""
    occurs = np.zeros(len(ids), bool)
    occurs[place_N] = True
    number = (np.cumsum(occurs) - 1).astype(np.int32)
    return pa.DictionaryArray.from_arrays(number[place_N], ids.filter(pa.array(occurs)))


def _groups(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Yields tables of ROWS_A_GROUP rows, whatever the batches' sizes: the file's bytes depend on the rows alone."""
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


class Fingerprint:
    """Computes the digest of a data set, which no file layout, file order, number of threads or engine changes.

    It is a sha256 over the sorted rows and the ids that they name by number: text is taken in once an id, not once a
    row.
    """

    def __init__(self, users: pa.Array, interactions: np.ndarray, items: pa.Array) -> None:
        """Takes the ids.

        Args:
            users: User ids that occur, sorted.
            interactions: Number of rows of each user.
            items: Item ids that occur, sorted.
        """
        self._fixed = [part for ids in (users, items) for part in (_little(pc.binary_length(ids)), _bytes(ids))]
        self._fixed.append(_little(interactions))
        self._rows = [hashlib.sha256() for _ in range(3)]

    def add(self, item_N: np.ndarray, time_N: np.ndarray, train_N: np.ndarray) -> None:
        """Takes the next N rows, sorted by user and position; where a call ends makes no difference.

        Args:
            item_N: Places in the item ids.
            time_N: Microseconds.
            train_N: Whether each is a training row.
        """
        for digest, values in zip(
            self._rows, (item_N.astype("<i4"), time_N.astype("<i8"), train_N.astype("u1")), strict=True
        ):
            digest.update(values.data)

    def hexdigest(self) -> str:
        """Returns the digest of everything taken in so far, as 64 hexadecimal digits."""
        whole = hashlib.sha256()
        for part in self._fixed:
            whole.update(hashlib.sha256(part).digest())
        for digest in self._rows:
            whole.update(digest.digest())
        return whole.hexdigest()


def _little(numbers: pa.Array | np.ndarray) -> memoryview:
    """Returns whole numbers as bytes, the same on every machine."""
    return np.ascontiguousarray(numbers, dtype="<i8").data


def _bytes(texts: pa.Array) -> memoryview:
    """Returns the texts, none of them null, end to end, without a copy."""
    _, places, content = texts.buffers()
    bounds = np.frombuffer(places, dtype=np.int32)[[texts.offset, texts.offset + len(texts)]] if len(texts) else (0, 0)
    return memoryview(content)[bounds[0] : bounds[1]] if content is not None else memoryview(b"")
