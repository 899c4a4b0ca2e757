"""A data set in memory, as training, lists and judging use it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from finest.data import schema
from finest.data.schema import Manifest
from finest.errors import DataError

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Rows:
    """Training rows sorted by user, then by position; what perturbations edit.

    Shapes [N]. `id`: the row's number in interactions.parquet, -1 for an inserted row. `anchor`: the id of the clean row whose
    window it belongs to, its own but for an inserted row, which takes that of the row it was put before.
    """

    user: Ints
    item: Ints
    id: Ints
    anchor: Ints

    def __len__(self) -> int:
        return len(self.id)


@dataclass(frozen=True)
class Instances:
    """Held-out interactions whose next-item ranking is computed, sorted by user, then by position.

    Shapes [M]. `row`: number in interactions.parquet; `target`: item code, 0 where it is outside the catalogue.
    """

    row: Ints
    user: Ints
    position: Ints
    target: Ints

    def __len__(self) -> int:
        return len(self.row)


@dataclass(frozen=True)
class Dataset:
    """All interactions, sorted by user and position. Shapes [N]; U users, I items of the catalogue."""

    user: Ints
    item: Ints
    """Codes from 1; 0 outside the catalogue."""
    timestamp: Ints
    position: Ints
    train: npt.NDArray[np.bool_]
    item_ids: npt.NDArray[np.str_] | npt.NDArray[np.object_]
    """[I + 1] item id by code; '' at 0."""
    user_ids: npt.NDArray[np.object_]
    """[U] user id by code."""
    target_ids: npt.NDArray[np.object_]
    """[N] item id of every row, those outside the catalogue too."""
    manifest: Manifest

    @property
    def items(self) -> int:
        """Size of the catalogue."""
        return len(self.item_ids) - 1

    @property
    def starts(self) -> Ints:
        """[U] number of each user's first row."""
        return np.asarray(
            np.r_[0, np.cumsum(np.bincount(self.user, minlength=len(self.user_ids)))[:-1]], dtype=np.int64
        )

    @property
    def item_counts(self) -> Ints:
        """[I + 1] training interactions of each item."""
        counts = np.bincount(self.item[self.train], minlength=self.items + 1)
        counts[0] = 0
        return counts.astype(np.int64)

    def training_rows(self) -> Rows:
        """The clean training rows."""
        id = np.flatnonzero(self.train).astype(np.int64)
        return Rows(self.user[id], self.item[id], id, id)

    def instances(self) -> Instances:
        """Held-out rows that have a history: at least one earlier interaction with an item of the catalogue."""
        before: Ints = np.cumsum(self.item > 0) - (self.item > 0)  # catalogue items before each row, over all users
        known: Ints = before - before[self.starts[self.user]]
        row = np.flatnonzero(~self.train & (known > 0)).astype(np.int64)
        return Instances(row, self.user[row], self.position[row], self.item[row])

    def histories(self, rows: Ints, length: int) -> Ints:
        """[len(rows), length] codes of the last `length` catalogue items before each row, oldest first, padded behind with 0.

        What a model sees at an instance: the unperturbed history, held-out rows before the instance included.
        """
        held = np.flatnonzero(self.item > 0)
        end = np.searchsorted(held, rows)  # known rows before each asked one
        start = np.maximum(np.searchsorted(held, self.starts[self.user[rows]]), end - length)
        place = start[:, None] + np.arange(length)[None, :]
        inside = place < end[:, None]
        return np.where(inside, self.item[held[np.minimum(place, len(held) - 1)]], schema.PADDING)

    def with_split(self, train: npt.NDArray[np.bool_], keep: npt.NDArray[np.bool_]) -> "Dataset":
        """The rows under `keep`, split anew by `train`, with the same catalogue. For choosing on training data, never for reporting."""
        return Dataset(
            self.user[keep],
            self.item[keep],
            self.timestamp[keep],
            self.position[keep],
            train[keep],
            self.item_ids,
            self.user_ids,
            self.target_ids[keep],
            self.manifest,
        )


def load(folder: Path) -> Dataset:
    """Reads what ingest wrote."""
    try:
        manifest = Manifest.model_validate_json((folder / schema.MANIFEST).read_text())
        table = pq.read_table(folder / schema.INTERACTIONS)
        users = pq.read_table(folder / schema.USERS)
        items = pq.read_table(folder / schema.ITEMS)
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
        target_ids=np.array(table.column("item").to_pylist(), dtype=object),
        manifest=manifest,
    )


def validation(data: Dataset, tenths: int = 1) -> Dataset:
    """The training rows alone, each user's last `tenths` of ten held out (rounded up, but never a user's first).

    For tuning and benchmarks: choices are made here, never on test rows. `tenths` = 2 with a later look at the last tenth alone
    gives the cut of a day before yesterday.
    """
    count = np.bincount(data.user[data.train], minlength=len(data.user_ids))
    held = np.minimum(-(-count * tenths // 10), np.maximum(count - 1, 0))
    rank = data.position  # training rows come first in every user's history
    return data.with_split(data.train & (rank < (count - held)[data.user]), data.train)
