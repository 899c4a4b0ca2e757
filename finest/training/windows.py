"""Windows over training rows, and the slots that keep an edit from moving anybody else's.

Shapes: N rows, W slots (clean windows), E extra windows, T positions, Q batches of an epoch.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from finest.data.dataset import Ints, Rows

Codes = npt.NDArray[np.int64]
PAYS = 0.25
"""The share of all positions from which buckets pay for their smaller batches."""
NARROWEST = 4
"""Positions from which a width is not halved again."""


@dataclass(frozen=True)
class Slots:
    """The clean data's windows. Each clean row belongs to one, whatever is edited later; where windows are shifted, to another one in
    another epoch, of the same number of slots."""

    length: int
    count: int
    """W"""
    of_row: Ints
    """[largest clean row id + 1] slot of each clean training row."""
    width: Ints
    """[W] positions that are computed of a slot's windows: all `length`, or what its clean rows need and one more, rounded up."""

    def by_width(self) -> dict[int, int]:
        """How many slots there are of each width."""
        widths, slots = np.unique(self.width, return_counts=True)
        return dict(zip(widths.tolist(), slots.tolist(), strict=True))

    def batches(self, size: int) -> int:
        """Q"""
        return len(self.shapes(size)[0])

    def shapes(self, size: int) -> tuple[Ints, Ints]:
        """Width and number of slots of each batch `[Q]`, the same in every epoch and for every seed.

        A batch holds slots of one width; widths are spread evenly over the epoch. Where there are several, batches have `size` slots on
        average and about the same number of positions, more of the narrow slots than of the wide ones: each step is a mean over its
        targets, so the targets of a batch with few of them would weigh more than others. For the same reason slots are dealt evenly then.
        """
        widths, slots = np.unique(self.width, return_counts=True)
        sizes = np.maximum(np.rint(size * self.width.mean() / widths).astype(np.int64), 1) if self.count else widths
        batches = -(-slots // sizes)
        number_Q = np.arange(batches.sum()) - np.repeat(np.cumsum(batches) - batches, batches)
        width_Q, slots_Q, batches_Q = (np.repeat(values, batches) for values in (widths, slots, batches))
        if len(widths) > 1:
            count_Q = slots_Q // batches_Q + (number_Q < slots_Q % batches_Q)
        else:
            count_Q = np.minimum(slots_Q - number_Q * size, size)
        spread = np.argsort((number_Q + 0.5) / batches_Q, kind="stable")
        return width_Q[spread], count_Q[spread]


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


def slots(rows: Rows, length: int, bucketed: bool | None = None, offset: int | None = None) -> Slots:
    """Slots of the clean `rows`: a user's targets, all rows but the first, in runs of `length`. A user of one row has an empty slot,
    since an insertion can give it a target.

    `bucketed`: see `Pretrain`. `offset`: the first run of every user is so many targets shorter; slots are as many as any offset needs, so
    some are empty, and all of one width.
    """
    if len(rows) == 0:
        return Slots(length, 0, np.zeros(0, np.int64), np.zeros(0, np.int64))
    start = np.flatnonzero(np.r_[True, rows.user[1:] != rows.user[:-1]])
    size = np.diff(start, append=len(rows))
    spare = 0 if offset is None else length - 1
    slots_of_user = (np.maximum(size - 1, 1) + length - 1 + spare) // length
    first = np.cumsum(slots_of_user) - slots_of_user
    target = np.maximum(np.arange(len(rows)) - np.repeat(start, size) - 1, 0)  # number of the user's target
    number = np.repeat(first, size) + (target + (offset or 0)) // length
    of_row = np.full(rows.id.max() + 1, -1, np.int64)
    of_row[rows.id] = number
    whole = np.full(slots_of_user.sum(), length)
    if offset is not None:
        return Slots(length, len(whole), of_row, whole)
    width = _widths(np.bincount(np.delete(number, start), minlength=len(whole)), length)
    if bucketed is None:
        bucketed = width.sum() <= (1 - PAYS) * whole.sum()
    return Slots(length, len(whole), of_row, width if bucketed else whole)


def _widths(targets_W: Ints, length: int) -> Ints:
    """The least of `length` and its halves that leaves room for one insertion more than a slot holds."""
    widths = [length]
    while widths[0] > NARROWEST:
        widths.insert(0, -(-widths[0] // 2))
    return np.array(widths)[np.minimum(np.searchsorted(widths, targets_W, side="right"), len(widths) - 1)]


def fill(rows: Rows, slots: Slots) -> Windows:
    """Windows of `rows`, clean or edited. A deletion leaves its window shorter, an insertion joins its neighbour's, and what overflows
    a window goes to an extra one."""
    target = np.flatnonzero(np.r_[False, rows.user[1:] == rows.user[:-1]])
    slot = slots.of_row[rows.anchor[target]]
    fresh = np.r_[True, slot[1:] != slot[:-1]] if len(slot) else np.zeros(0, bool)
    order = np.arange(len(slot))
    place = order - np.maximum.accumulate(np.where(fresh, order, 0))
    spill, place = np.divmod(place, slots.width[slot])
    key = spill * slots.count + slot
    extra = np.unique(key[spill > 0])
    window = np.where(spill > 0, slots.count + np.searchsorted(extra, key), slot)
    shape = (slots.count + len(extra), slots.length)
    inputs, targets, ids = np.zeros(shape, np.int64), np.zeros(shape, np.int64), np.full(shape, -1, np.int64)
    inputs[window, place] = rows.item[target - 1]
    targets[window, place] = rows.item[target]
    ids[window, place] = rows.id[target]
    return Windows(inputs, targets, ids, extra % max(slots.count, 1))
