"""The edit table: perturbations as data that can be read, diffed, logged and applied again bit for bit."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from finest.data.dataset import Dataset, Ints, Rows
from finest.errors import DataError

EDITS_SCHEMA = pa.schema(
    [
        pa.field("scenario", pa.string(), nullable=False),
        pa.field("kind", pa.string(), nullable=False),  # deletion, replacement, insertion
        pa.field("row", pa.int64(), nullable=False),  # number of the clean row in interactions.parquet
        pa.field("user", pa.string(), nullable=False),
        pa.field("old_item", pa.string(), nullable=False),  # the row's item; an insertion goes just before it
        pa.field("new_item", pa.string()),  # null for a deletion
    ]
)


@dataclass(frozen=True)
class Edits:
    """One scenario's edits, by code. Shapes [E]; `item` is the new item's code, 0 for deletions. A row is edited at most once."""

    kind: str
    row: Ints
    item: Ints

    def __len__(self) -> int:
        return len(self.row)


def apply(rows: Rows, edits: Edits) -> Rows:
    """The training rows after `edits`.

    Order is kept; a user's other rows keep their ids and anchors. Edits of clean rows that `rows` no longer holds (deleted or replaced
    before) are skipped.
    """
    clean = np.flatnonzero(rows.id >= 0)
    _, among_clean, which = np.intersect1d(rows.id[clean], edits.row, assume_unique=True, return_indices=True)
    place, item = clean[among_clean], edits.item[which]
    if edits.kind == "deletion":
        return Rows(*(np.delete(column, place) for column in (rows.user, rows.item, rows.id, rows.anchor)))
    if edits.kind == "replacement":
        # A replaced row is still its slot's row but no longer the clean one: it has no reference list.
        return Rows(rows.user, _with(rows.item, place, item), _with(rows.id, place, -1), rows.anchor)
    return Rows(
        np.insert(rows.user, place, rows.user[place]),
        np.insert(rows.item, place, item),
        np.insert(rows.id, place, -1),
        np.insert(rows.anchor, place, rows.anchor[place]),
    )


def _with(column: Ints, place: Ints, values: Ints | int) -> Ints:
    column = column.copy()
    column[place] = values
    return column


def to_table(edits: Mapping[str, Edits], data: Dataset) -> pa.Table:
    """The table of every scenario's edits, in the order of `edits` and of the rows that they name."""
    parts = []
    for scenario, of in edits.items():
        order = np.argsort(of.row)
        row, item = of.row[order], of.item[order]
        columns = {
            "scenario": [scenario] * len(of),
            "kind": [of.kind] * len(of),
            "row": row,
            "user": data.user_ids[data.user[row]],
            "old_item": data.target_ids[row],
            "new_item": pa.array(data.item_ids[item], pa.string(), mask=item == 0),
        }
        parts.append(pa.table(columns, schema=EDITS_SCHEMA))
    return pa.concat_tables(parts)


def from_table(table: pa.Table, data: Dataset) -> dict[str, Edits]:
    """Edits by scenario, with items as codes of `data`.

    Raises DataError where the table was made for other data.
    """
    row = table.column("row").to_numpy()
    old = np.array(table.column("old_item").to_pylist(), dtype=object)
    last = len(data.target_ids) - 1
    foreign = (row > last) | (data.target_ids[np.minimum(row, last)] != old)
    if foreign.any():
        raise DataError(
            f"edits: row {row[foreign][0]} of the data set does not hold item {old[foreign][0]!r}; plan edits from this data"
        )
    code = {str(item): number for number, item in enumerate(data.item_ids)}
    item = np.array(
        [0 if name is None else code[name] for name in table.column("new_item").to_pylist()], dtype=np.int64
    )
    scenario = np.array(table.column("scenario").to_pylist(), dtype=object)
    kind = table.column("kind").to_pylist()
    result = {}
    for name in dict.fromkeys(scenario):
        of = np.flatnonzero(scenario == name)
        result[name] = Edits(kind[of[0]], row[of], item[of])
    return result
