"""Windows over training rows, and the slots that keep an edit from moving anybody else's.

Shapes: N rows, W slots (clean windows), E extra windows, T positions.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from finest.data.dataset import Ints, Rows

Codes = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Slots:
    """The clean data's windows. Each clean row belongs to one, whatever is edited later."""

    length: int
    count: int
    """W"""
    of_row: Ints
    """[largest clean row id + 1] slot of each clean training row."""

    def batches(self, size: int) -> int:
        """Batches of an epoch, the last of which may be smaller."""
        return -(-self.count // size)


@dataclass(frozen=True)
class Windows:
    """Shifted sequences: the model reads `inputs` and predicts `targets`. Padded behind with 0."""

    inputs: Codes
    """[W + E, T] item codes."""
    targets: Codes
    """[W + E, T] item codes; 0 where nothing is predicted."""
    ids: Ints
    """[W + E, T] clean row id of the target; -1 for none, or for an edited row."""
    home: Ints
    """[E] the slot whose batch an extra window rides in: the one that overflowed."""


def slots(rows: Rows, length: int) -> Slots:
    """Slots of the clean `rows`: a user's targets, all rows but the first, in runs of `length`. A user of one row has an empty slot,
    since an insertion can give it a target."""
    if len(rows) == 0:
        return Slots(length, 0, np.zeros(0, np.int64))
    first = np.r_[True, rows.user[1:] != rows.user[:-1]]
    start = np.maximum.accumulate(np.where(first, np.arange(len(rows)), 0))
    within = np.maximum(np.arange(len(rows)) - start - 1, 0) // length
    number = np.cumsum(first | (within != np.r_[0, within[:-1]])) - 1
    of_row = np.full(rows.id.max() + 1, -1, np.int64)
    of_row[rows.id] = number
    return Slots(length, int(number[-1]) + 1, of_row)


def fill(rows: Rows, slots: Slots) -> Windows:
    """Windows of `rows`, clean or edited. A deletion leaves its window shorter, an insertion joins its neighbour's, and what overflows
    a window goes to an extra one."""
    target = np.flatnonzero(np.r_[False, rows.user[1:] == rows.user[:-1]])
    slot = slots.of_row[rows.anchor[target]]
    fresh = np.r_[True, slot[1:] != slot[:-1]] if len(slot) else np.zeros(0, bool)
    order = np.arange(len(slot))
    offset = order - np.maximum.accumulate(np.where(fresh, order, 0))
    spill, offset = offset // slots.length, offset % slots.length
    key = spill * slots.count + slot
    extra = np.unique(key[spill > 0])
    window = np.where(spill > 0, slots.count + np.searchsorted(extra, key), slot)
    shape = (slots.count + len(extra), slots.length)
    inputs, targets, ids = np.zeros(shape, np.int64), np.zeros(shape, np.int64), np.full(shape, -1, np.int64)
    inputs[window, offset] = rows.item[target - 1]
    targets[window, offset] = rows.item[target]
    ids[window, offset] = rows.id[target]
    return Windows(inputs, targets, ids, extra % max(slots.count, 1))
