"""What features are made of: a batch's histories, and what is counted.

Shapes: B histories, I items, E pairs of a history and an item.
"""

from collections.abc import Callable
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import sparse

from finest.histories import Histories, Ints
from finest.memory.tables import Counts

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]

RECENT = 10
"""Number of a history's last interactions whose neighbours are looked at."""
FADING = 0.8
"""What an item's users count for, for every interaction since: an item 3 back counts FADING^2."""


class Pairs(NamedTuple):
    """Holds E pairs of a history and an item, each once, in any order."""

    history: Ints
    item: Ints
    """Codes from 1."""

    def flat(self, items: int) -> Ints:
        """Returns where they stand in a flat matrix of scores, a row for each history, of so many items."""
        return self.history * items + self.item - 1


class Seen:
    """Holds what features are made of: a batch's histories, and what is counted. Computed when asked for, once."""

    def __init__(self, counts: Counts, histories: Histories):
        self.counts, self.histories = counts, histories

    @cached_property
    def row(self) -> Ints:
        """Returns the history of each interaction."""
        return self.histories.row

    @cached_property
    def age(self) -> Ints:
        """Returns the number of interactions since each interaction of a history, its last one's being 1."""
        return self.histories.start[1:][self.row] - np.arange(len(self.row))

    @cached_property
    def followed(self) -> tuple[Pairs, Floats]:
        """Returns the mean share by which an item has followed the last ones, near ones more (weights 1 / steps)."""
        return self._near(self.counts.follows, lambda age: 1 / age)

    @cached_property
    def alike(self) -> tuple[Pairs, Floats]:
        """Returns the mean cosine of an item with the last ones, near ones more (weights FADING^(steps - 1))."""
        return self._near(self.counts.alike, lambda age: np.power(FADING, age - 1))

    @cached_property
    def own(self) -> Pairs:
        """Returns each history's distinct items."""
        return Pairs(self._own[0], self._own[1])

    @cached_property
    def times(self) -> Ints:
        """Returns how often the history has each of its own items."""
        return self._own[2]

    @cached_property
    def since(self) -> Ints:
        """Returns the number of interactions since the history had each of its own items; 1: it is the last one."""
        return self._own[3]

    @cached_property
    def again(self) -> Floats:
        """Returns how readily each history repeats items: half the log odds of a repetition, one of each added."""
        distinct = np.bincount(self.own.history, minlength=len(self.histories))
        repeated = self.histories.sizes - distinct
        return (0.5 * np.log((repeated + 1) / (distinct + 1))).astype(np.float32)

    @cached_property
    def successors(self) -> tuple[Pairs, Ints]:
        """Returns which items have followed the history's last item in this very history, and how often."""
        item, start, row = self.histories.item, self.histories.start, self.row
        last = item[start[1:] - 1]
        place = np.flatnonzero((item[:-1] == last[row[:-1]]) & (row[1:] == row[:-1])) + 1
        pair, times = np.unique(self._pair(row[place], item[place]), return_counts=True)
        return self._unpaired(pair), times

    @cached_property
    def _own(self) -> tuple[Ints, Ints, Ints, Ints]:
        pair, place, times = np.unique(
            self._pair(self.row, self.histories.item), return_inverse=True, return_counts=True
        )
        since = np.full(len(pair), np.iinfo(np.int64).max)
        np.minimum.at(since, place, self.age)
        return *self._unpaired(pair), times, since

    def _near(self, table: "sparse.csr_array", weight: Callable[[Doubles], Doubles]) -> tuple[Pairs, Floats]:
        recent = self.age <= RECENT
        row, weights = self.row[recent], weight(self.age[recent].astype(np.float64))
        weights = weights / np.bincount(row, weights, minlength=len(self.histories))[row]
        shape, width = (len(self.histories), table.shape[0]), table.indices.dtype
        # Of another width, the whole table would be copied for the product.
        places = row.astype(width), self.histories.item[recent].astype(width)
        ours = sparse.csr_array((weights.astype(np.float32), places), shape=shape)
        near = sparse.csr_array(ours @ table)
        pairs = Pairs(np.repeat(np.arange(len(self.histories)), np.diff(near.indptr)), near.indices.astype(np.int64))
        return pairs, near.data

    def _pair(self, row: Ints, item: Ints) -> Ints:
        return row * len(self.counts.popularity) + item

    def _unpaired(self, pair: Ints) -> Pairs:
        return Pairs(*np.divmod(pair, len(self.counts.popularity)))
