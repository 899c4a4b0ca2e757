"""How much of the champion's data is in tonight's: what tells whether they are of one line."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from finest.data.dataset import Dataset
from finest.models.saved import read_items
from finest.ranklists.champion import CUT


@dataclass(frozen=True)
class Share:
    """Holds how many of a model's things a data set has."""

    there: int
    """Number that it has."""
    of: int
    """Number of the model's."""

    @property
    def value(self) -> float:
        """Returns the share; 1 of nothing, of which nothing is missing."""
        return self.there / self.of if self.of else 1.0


@dataclass(frozen=True)
class Shared:
    """Holds what a data set shares with the data that a model was trained on."""

    items: Share
    """Items of the model's catalogue that are in the data's."""
    users: Share
    """Users that the model was trained on."""
    moments: Share
    """Users in common whose last training row of the model is within the data's time: those who have a row at that very
    moment."""


def shared(model: Path, data: Dataset) -> Shared:
    """Compares the data that a model was trained on with a data set.

    Args:
        model: Folder of the saved model, with its cut.
        data: Today's data set.
    """
    items, cut = read_items(model), pq.read_table(model / CUT)
    users, last = cut.column("user").to_pylist(), cut.column("last_train_timestamp").to_numpy()
    code = {user: number for number, user in enumerate(data.user_ids)}
    theirs = np.array([code.get(user, -1) for user in users], np.int64)
    within = (theirs >= 0) & (last >= data.timestamp.min()) & (last <= data.timestamp.max())
    moment = np.full(len(data.user_ids), np.iinfo(np.int64).min)
    moment[theirs[within]] = last[within]
    there = np.unique(data.user[data.timestamp == moment[data.user]])
    return Shared(
        items=Share(len(set(items) & set(data.item_ids)), len(items)),
        users=Share(int((theirs >= 0).sum()), len(users)),
        moments=Share(len(there), int(within.sum())),
    )
