"""A data set in memory, as training, lists and judging use it."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from finest import documents, parquet, sealed
from finest.data import schema
from finest.data.schema import Manifest
from finest.errors import DataError, first_line
from finest.histories import Histories

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Rows:
    """Holds N training rows sorted by user, then by position; perturbations edit them. Shapes [N]."""

    user: Ints
    """Code of the user."""
    item: Ints
    """Code of the item."""
    id: Ints
    """Number of the row in interactions.parquet; -1 for a row with a new item, replaced or inserted."""
    anchor: Ints
    """Id of the clean row whose window the row belongs to: its own, but for an inserted row, which takes that of the
    row that it was put before."""
    timestamp: Ints
    """Microseconds since 1970 (UTC); an inserted row has that of the row that it was put before."""

    def __len__(self) -> int:
        return len(self.id)


@dataclass(frozen=True)
class Instances:
    """Holds M held-out interactions for which items are ranked, sorted by user, then by position. Shapes [M]."""

    row: Ints
    """Number of the row in interactions.parquet."""
    user: Ints
    """Code of the user."""
    position: Ints
    """Place in the user's history, from 0."""
    target: Ints
    """Code of the item that comes next; 0 where it is outside the catalogue."""

    def __len__(self) -> int:
        return len(self.row)

    def only(self, chosen: Ints | npt.NDArray[np.bool_]) -> "Instances":
        """Returns some of them, by number or by mask [M]."""
        return Instances(self.row[chosen], self.user[chosen], self.position[chosen], self.target[chosen])


@dataclass(frozen=True)
class Dataset:
    """Holds N interactions of U users, sorted by user and position, and a catalogue of I items. Shapes are [N]."""

    user: Ints
    """Codes from 0."""
    item: Ints
    """Codes from 1; 0 outside the catalogue."""
    timestamp: Ints
    """Microseconds since 1970 (UTC)."""
    position: Ints
    """Place in the user's history, from 0."""
    train: npt.NDArray[np.bool_]
    """Whether it is a training row; the others are held out."""
    item_ids: npt.NDArray[np.str_] | npt.NDArray[np.object_]
    """Item id by code [I + 1]; '' at 0."""
    user_ids: npt.NDArray[np.object_]
    """User id by code [U]."""
    target_ids: npt.NDArray[np.object_]
    """Item id of every row, also of those outside the catalogue."""
    manifest: Manifest
    """Facts about the data set, as ingest found them."""

    @property
    def items(self) -> int:
        """Returns the size of the catalogue."""
        return len(self.item_ids) - 1

    @cached_property
    def starts(self) -> Ints:
        """Returns the number of each user's first row [U]."""
        return np.asarray(
            np.r_[0, np.cumsum(np.bincount(self.user, minlength=len(self.user_ids)))[:-1]], dtype=np.int64
        )

    @property
    def item_counts(self) -> Ints:
        """Returns the number of training interactions of each item [I + 1]; 0 at the padding, 0."""
        counts = np.bincount(self.item[self.train], minlength=self.items + 1)
        counts[0] = 0
        return counts.astype(np.int64)

    def training_rows(self) -> Rows:
        """Returns the clean training rows."""
        id = np.flatnonzero(self.train).astype(np.int64)
        return Rows(self.user[id], self.item[id], id, id, self.timestamp[id])

    def instances(self) -> Instances:
        """Returns the held-out rows that have a history: an earlier interaction with an item of the catalogue."""
        before: Ints = np.cumsum(self.item > 0) - (self.item > 0)  # catalogue items before each row, over all users
        known: Ints = before - before[self.starts[self.user]]
        row = np.flatnonzero(~self.train & (known > 0)).astype(np.int64)
        return Instances(row, self.user[row], self.position[row], self.item[row])

    def histories(self, rows: Ints) -> Histories:
        """Returns what a model sees at M rows: the unperturbed histories, with the held-out rows before each.

        Items outside the catalogue are passed over.

        Args:
            rows: Numbers of the M rows.
        """
        start = self.starts[self.user[rows]]
        count = rows - start
        before = np.repeat(start - np.r_[0, np.cumsum(count)[:-1]], count) + np.arange(count.sum())
        known = self.item[before] > 0
        of = np.repeat(np.arange(len(rows)), count)[known]
        start = np.r_[0, np.cumsum(np.bincount(of, minlength=len(rows)))]
        return Histories(self.item[before[known]], start, self.timestamp[before[known]])


def load(folder: Path) -> Dataset:
    """Reads the data set that ingest wrote to `folder`.

    Raises:
        DataError: There is none.
        DamagedError: It is not what ingest wrote. One without digests, of an earlier version, is taken as it is.
    """
    sealed.check_own(folder)
    try:
        manifest = documents.read(folder / schema.MANIFEST, Manifest, "run ingest again")
        table = _read(folder / schema.INTERACTIONS, schema.INTERACTIONS_SCHEMA)
        users = _read(folder / schema.USERS, schema.USERS_SCHEMA)
        items = _read(folder / schema.ITEMS, schema.ITEMS_SCHEMA)
    except FileNotFoundError as error:
        raise DataError(
            f"{folder}: not a data set that ingest wrote ({Path(str(error.filename)).name} is missing)"
        ) from error

    def column(name: str) -> Ints:
        return np.array(table.column(name).to_numpy(), dtype=np.int64)

    return Dataset(
        user=column("user_code"),
        item=column("item_code"),
        timestamp=column("timestamp"),
        position=column("position"),
        train=np.asarray(table.column("split").to_pandas() == "train"),
        item_ids=np.array([""] + items.column("item").to_pylist(), dtype=object),
        user_ids=np.array(users.column("user").to_pylist(), dtype=object),
        target_ids=_texts(table.column("item")),
        manifest=manifest,
    )


def _texts(column: pa.ChunkedArray) -> npt.NDArray[np.object_]:
    """Returns a column's texts [N], one in memory for all rows that hold it."""
    encoded = column.dictionary_encode().unify_dictionaries().combine_chunks()
    texts = np.array(encoded.dictionary.to_pylist(), dtype=object)
    return np.asarray(texts[encoded.indices.to_numpy()])


def _read(path: Path, columns: pa.Schema) -> pa.Table:
    """Returns the columns of a file of a data set. Raises DataError where they are others."""
    table = parquet.read(path)
    try:
        return table.select(columns.names).cast(columns)
    except (KeyError, ValueError, pa.ArrowException) as error:
        raise DataError(f"{path}: damaged, or of another version ({first_line(error)}); run ingest again") from error
