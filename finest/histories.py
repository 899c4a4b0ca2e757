"""Whole histories of interactions, as a model and what counts read them before they rank.

Shapes: M histories, T positions of a window.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]

UNKNOWN = np.iinfo(np.int64).min
"""Stands for the time of an interaction that nobody knows."""
SECOND = 1_000_000
"""A second in microseconds."""


@dataclass(frozen=True)
class Histories:
    """Holds M whole histories, one behind the other."""

    item: Ints
    """Codes of all, oldest first in each, all from 1."""
    start: Ints
    """Where each history begins, and the end of the last one [M + 1]."""
    timestamp: Ints | None = None
    """When each interaction was, in microseconds since 1970 (UTC), or UNKNOWN; None where all are unknown."""

    @classmethod
    def of(cls, histories: Sequence[Sequence[int]], timestamps: Sequence[Sequence[int]] | None = None) -> "Histories":
        """Returns the histories of lists of codes, oldest first, and of their times in microseconds, if there are."""
        sizes = [len(history) for history in histories]
        items, times = (
            None if of is None else np.array([value for one in of for value in one], np.int64)
            for of in (histories, timestamps)
        )
        assert items is not None
        return cls(items, np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)]), times)

    def __len__(self) -> int:
        return len(self.start) - 1

    @property
    def sizes(self) -> Ints:
        """Returns the number of interactions of each history [M]."""
        return np.diff(self.start)

    @property
    def row(self) -> Ints:
        """Returns the number of the history that each interaction is of."""
        return np.repeat(np.arange(len(self)), self.sizes)

    def windows(self, length: int, timed: bool = False) -> Ints:
        """Returns the last items of each history [M, `length`], oldest first, padded behind with 0.

        Args:
            length: Number of positions, T.
            timed: Whether each item has its time beside it [M, T, 2], as `beside` puts it.

        >>> Histories.of([[1, 2, 3], [], [4]]).windows(2).tolist()
        [[2, 3], [0, 0], [4, 0]]
        """
        size = np.minimum(self.sizes, length)
        place = (self.start[1:] - size)[:, None] + np.arange(length)
        inside = np.arange(length) < size[:, None]
        padded = np.append(self.item, 0)
        codes = np.where(inside, padded[np.minimum(place, len(self.item))], 0)
        if not timed:
            return codes
        timestamp = np.full(len(self.item), UNKNOWN) if self.timestamp is None else self.timestamp
        return beside(codes, np.append(timestamp, 0)[np.minimum(place, len(self.item))])


def beside(codes: Ints, timestamps: Ints) -> Ints:
    """Returns codes `[...]` with their times `[..., 2]` as a model reads them: in whole seconds, 0 at padding.

    >>> beside(np.array([7, 8, 0]), np.array([3_900_000, UNKNOWN, 5])).tolist() == [[7, 3], [8, UNKNOWN], [0, 0]]
    True
    """
    seconds = np.where(timestamps == UNKNOWN, UNKNOWN, timestamps // SECOND)
    return np.stack([codes, np.where(codes > 0, seconds, 0)], -1)
