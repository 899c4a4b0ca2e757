"""Cuts training rows into windows, and assigns them to slots, so that an edit moves nobody else's.

Shapes: N rows, W slots (clean windows), E extra windows, T positions, Q batches of an epoch.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from finest.data.dataset import Ints, Rows
from finest.histories import beside

Codes = npt.NDArray[np.int64]
PAYS = 0.25
"""Share of all positions that buckets must save to pay for their smaller batches."""
NARROWEST = 4
"""Number of positions from which a width is not halved again."""


@dataclass(frozen=True)
class WindowPlan:
    """Assigns every clean row to a slot, the place of one clean window, whatever is edited later.

    Where windows are shifted, a row has another slot in another epoch; the number of slots is the same.
    """

    length: int
    """Number of positions of a window, T."""
    count: int
    """Number of slots, W."""
    of_row: Ints
    """[largest clean row id + 1] slot of each clean training row."""
    width: Ints
    """[W] positions that are computed of a slot's windows: all `length`, or as many as its clean rows need and one
    more, rounded up."""

    def by_width(self) -> dict[int, int]:
        """Returns the number of slots of each width."""
        widths, slots = np.unique(self.width, return_counts=True)
        return dict(zip(widths.tolist(), slots.tolist(), strict=True))

    def batches(self, size: int) -> int:
        """Returns the number of batches of an epoch, Q."""
        return len(self.shapes(size)[0])

    def shapes(self, size: int) -> tuple[Ints, Ints]:
        """Returns width and number of slots of each batch `[Q]`, the same in every epoch and for every seed.

        A batch holds slots of one width; widths are spread evenly over the epoch. Where there are several, batches have
        `size` slots on average and about the same number of positions, more of the narrow slots than of the wide ones:
        each step is a mean over its targets, so the targets of a batch with few of them would weigh more than others.
        For the same reason slots are dealt evenly then.

        Six slots of 4 positions and two of 8 are 5 wide on average, so batches of 2 slots have 10 positions: 2 narrow
        slots, or 1 wide one. That makes three narrow batches and two wide ones, in turn.

        >>> plan = WindowPlan(8, 8, np.zeros(0, np.int64), np.array([4, 4, 4, 4, 4, 4, 8, 8]))
        >>> [values.tolist() for values in plan.shapes(2)]
        [[4, 8, 4, 8, 4], [2, 1, 2, 1, 2]]
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
    """Holds shifted sequences, padded behind with 0: the model reads `inputs` and predicts `targets`."""

    inputs: Codes
    """[W + E, T] item codes; for a model that reads times [W + E, T, 2], each with its time (`histories.beside`)."""
    targets: Codes
    """[W + E, T] item codes; 0 where nothing is predicted."""
    ids: Ints
    """[W + E, T] clean row id of the target; -1 for none, or for an edited row."""
    slot_of_extra: Ints
    """[E] slot of each extra window, the one that overflowed; the extra window is in its batch."""


def plan_windows(rows: Rows, length: int, bucketed: bool | None = None, offset: int | None = None) -> WindowPlan:
    """Assigns the clean `rows` to slots: a user's targets, all rows but the first, in runs of `length`.

    A user of one row has an empty slot, since an insertion can give it a target.

    Args:
        rows: Clean training rows.
        length: Number of positions of a window.
        bucketed: Whether slots of few rows are narrower; where unset, whether that saves a quarter of all positions.
        offset: Number of targets by which the first run of every user is shorter. Slots are as many as any offset
            needs, so some are empty, and all of one width.
    """
    if len(rows) == 0:
        return WindowPlan(length, 0, np.zeros(0, np.int64), np.zeros(0, np.int64))
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
        return WindowPlan(length, len(whole), of_row, whole)
    width = _widths(np.bincount(np.delete(number, start), minlength=len(whole)), length)
    if bucketed is None:
        bucketed = width.sum() <= (1 - PAYS) * whole.sum()
    return WindowPlan(length, len(whole), of_row, width if bucketed else whole)


def _widths(targets_W: Ints, length: int) -> Ints:
    """Returns for each slot the least of `length` and its halves that leaves room for one insertion."""
    widths = [length]
    while widths[0] > NARROWEST:
        widths.insert(0, -(-widths[0] // 2))
    return np.array(widths)[np.minimum(np.searchsorted(widths, targets_W, side="right"), len(widths) - 1)]


def fill(rows: Rows, plan: WindowPlan, timed: bool = False) -> Windows:
    """Fills the slots with `rows`, clean or edited.

    A deletion leaves its window shorter, an insertion joins its neighbour's, and what overflows a window goes to an
    extra one.

    Args:
        rows: Training rows.
        plan: The slots.
        timed: Whether they are for a model that reads times.

    >>> rows = Rows(np.zeros(5, np.int64), np.array([11, 12, 13, 14, 15]), *[np.arange(5)] * 3)
    >>> windows = fill(rows, plan_windows(rows, 2))
    >>> windows.inputs.tolist(), windows.targets.tolist()
    ([[11, 12], [13, 14]], [[12, 13], [14, 15]])
    """
    target = np.flatnonzero(np.r_[False, rows.user[1:] == rows.user[:-1]])
    slot = plan.of_row[rows.anchor[target]]
    fresh = np.r_[True, slot[1:] != slot[:-1]] if len(slot) else np.zeros(0, bool)
    order = np.arange(len(slot))
    place = order - np.maximum.accumulate(np.where(fresh, order, 0))
    spill, place = np.divmod(place, plan.width[slot])
    key = spill * plan.count + slot
    extra = np.unique(key[spill > 0])
    window = np.where(spill > 0, plan.count + np.searchsorted(extra, key), slot)
    shape = (plan.count + len(extra), plan.length)
    inputs, targets, ids = np.zeros(shape, np.int64), np.zeros(shape, np.int64), np.full(shape, -1, np.int64)
    inputs[window, place] = rows.item[target - 1]
    if timed:
        timestamps = np.zeros(shape, np.int64)
        timestamps[window, place] = rows.timestamp[target - 1]
        inputs = beside(inputs, timestamps)
    targets[window, place] = rows.item[target]
    ids[window, place] = rows.id[target]
    return Windows(inputs, targets, ids, extra % max(plan.count, 1))
