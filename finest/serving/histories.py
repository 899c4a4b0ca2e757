"""Reads users' whole histories from a data set, as many at a time as fit in little memory.

Shapes: U users that are asked for, N rows.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from finest.data import schema
from finest.histories import Histories

Codes = npt.NDArray[np.int32]
ROWS = 2**17
"""Number of rows that are read at a time. A history that is longer is in memory as a whole."""


def histories(data: Path, users: Codes, items: pa.Array, timed: bool = False) -> Iterator[Histories]:
    """Yields the whole histories of some users, in their order, in parts of some ROWS rows.

    All that is known of a user is in it, held-out rows too. Items that the model does not know are passed over, so a
    history may be empty.

    Args:
        data: Folder that ingest wrote.
        users: Codes of the users [U], rising.
        items: Item ids by the model's code, from code 1.
        timed: Whether the model reads times.
    """
    if not len(users):
        return
    columns = ["user_code", "item", *["timestamp"] * timed]
    done, user_N, item_N, time_N = 0, np.empty(0, np.int32), np.empty(0, np.int64), np.empty(0, np.int64)
    with pq.ParquetFile(data / schema.INTERACTIONS, read_dictionary=["item"]) as file:
        for rows in file.iter_batches(ROWS, _groups(file, users), columns):
            users_N = rows["user_code"].to_numpy()
            kept = np.isin(users_N, users)
            user_N = np.concatenate([user_N, users_N[kept]])
            item_N = np.concatenate([item_N, _codes(rows["item"], items)[kept]])
            if timed:
                time_N = np.concatenate([time_N, rows["timestamp"].to_numpy()[kept]])
            upto = int(np.searchsorted(users, users_N[-1]))  # the batch's last user may go on in the next one
            if upto > done:
                cut = int(np.searchsorted(user_N, users_N[-1]))
                yield _cut(users[done:upto], user_N[:cut], item_N[:cut], time_N[:cut] if timed else None)
                done, user_N, item_N, time_N = upto, user_N[cut:], item_N[cut:], time_N[cut:]
    yield _cut(users[done:], user_N, item_N, time_N if timed else None)


def ids(data: Path, users: Codes) -> pa.Array:
    """Returns the ids of some users [U].

    Args:
        data: Folder that ingest wrote.
        users: Codes of the users, rising.
    """
    parts, first = [pa.array([], pa.string())], 0
    with pq.ParquetFile(data / schema.USERS) as file:
        for group in range(file.num_row_groups):
            last = first + file.metadata.row_group(group).num_rows
            inside = users[np.searchsorted(users, first) : np.searchsorted(users, last)]
            if len(inside):
                there = file.read_row_group(group, ["user"])["user"].combine_chunks()
                parts.append(there.take(pa.array(inside - first)))
            first = last
    return pa.concat_arrays(parts)


def _groups(file: pq.ParquetFile, users: Codes) -> list[int]:
    """Returns the row groups that hold a row of a user between the first and the last of these."""
    column = file.schema_arrow.get_field_index("user_code")
    bounds = [file.metadata.row_group(group).column(column).statistics for group in range(file.num_row_groups)]
    return [number for number, one in enumerate(bounds) if one.max >= users[0] and one.min <= users[-1]]


def _codes(texts: pa.DictionaryArray, items: pa.Array) -> npt.NDArray[np.int64]:
    """Returns the model's codes [N] of item ids; 0 for one that it does not know."""
    code = pc.add(pc.fill_null(pc.index_in(texts.dictionary, value_set=items), -1), 1)
    found: npt.NDArray[np.int64] = code.to_numpy().astype(np.int64)[texts.indices.to_numpy()]
    return found


def _cut(users: Codes, user_N: Codes, item_N: npt.NDArray[np.int64], time_N: npt.NDArray[np.int64] | None) -> Histories:
    """Returns the histories of the users, of whom the rows are."""
    known = item_N > 0
    start = np.append(np.searchsorted(user_N[known], users), known.sum()).astype(np.int64)
    return Histories(item_N[known], start, None if time_N is None else time_N[known])
