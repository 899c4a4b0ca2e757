"""The edit table: perturbations as data that can be read, diffed, logged and applied again bit for bit."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from finest.data.dataset import Dataset, Ints, Rows

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
    """The training rows after `edits`. Order is kept; a user's other rows keep their ids and anchors; edits of rows that are not there
    are skipped."""
    place = np.searchsorted(rows.id, edits.row) if np.all(np.diff(rows.id) > 0) else _places(rows, edits.row)
    there = (place < len(rows)) & (rows.id[np.minimum(place, len(rows) - 1)] == edits.row)
    place, item = place[there], edits.item[there]
    if edits.kind == "deletion":
        keep = np.ones(len(rows), bool)
        keep[place] = False
        return Rows(rows.user[keep], rows.item[keep], rows.id[keep], rows.anchor[keep])
    if edits.kind == "replacement":
        new = rows.item.copy()
        new[place] = item
        # A replaced row is still its slot's row but no longer the clean one: it has no reference list.
        id = rows.id.copy()
        id[place] = -1
        return Rows(rows.user, new, id, rows.anchor)
    order = np.argsort(place, kind="stable")
    place, item = place[order], item[order]
    return Rows(
        np.insert(rows.user, place, rows.user[place]),
        np.insert(rows.item, place, item),
        np.insert(rows.id, place, -1),
        np.insert(rows.anchor, place, rows.anchor[place]),
    )


def _places(rows: Rows, ids: Ints) -> Ints:
    """Where `ids` stand in rows that already hold inserted or replaced ones (id -1)."""
    order = np.argsort(rows.id, kind="stable")
    found = np.minimum(np.searchsorted(rows.id, ids, sorter=order), len(rows) - 1)
    return order[found]


def from_table(table: pa.Table, data: Dataset) -> dict[str, Edits]:
    """Edits by scenario, with items as codes of `data`."""
    code = {item: number for number, item in enumerate(data.item_ids)}
    scenario = np.array(table.column("scenario").to_pylist(), dtype=object)
    kinds = np.array(table.column("kind").to_pylist(), dtype=object)
    row = table.column("row").to_numpy().astype(np.int64)
    item = np.array([0 if name is None else code[name] for name in table.column("new_item").to_pylist()], dtype=np.int64)
    result = {}
    for name in dict.fromkeys(scenario):
        of = scenario == name
        result[name] = Edits(str(kinds[of][0]), row[of], item[of])
    return result
