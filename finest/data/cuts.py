"""Other splits of a data set: for choosing on training rows, never for reporting."""

import dataclasses

import numpy as np
import numpy.typing as npt

from finest.data.dataset import Dataset


def split(data: Dataset, train: npt.NDArray[np.bool_], keep: npt.NDArray[np.bool_]) -> Dataset:
    """Returns the rows under `keep` with the same catalogue, those under `train` as training rows. Both are [N]."""
    columns = {name: getattr(data, name)[keep] for name in ("user", "item", "timestamp", "position", "target_ids")}
    return dataclasses.replace(data, **columns, train=train[keep])


def validation(data: Dataset, tenths: int = 1) -> Dataset:
    """Returns the training rows alone, each user's last ones held out: choices are made here, never on test rows.

    Args:
        data: The data set.
        tenths: How many tenths of a user's training rows are held out, rounded up, but never the user's first row. Two,
            with a later look at the last tenth alone, give the cut of the day before yesterday.
    """
    count = np.bincount(data.user[data.train], minlength=len(data.user_ids))
    held_out = np.minimum(-(-count * tenths // 10), np.maximum(count - 1, 0))
    rank = data.position  # training rows come first in every user's history
    return split(data, data.train & (rank < (count - held_out)[data.user]), data.train)
