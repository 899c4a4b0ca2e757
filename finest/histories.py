"""Whole histories of interactions, as a model and what counts read them before they rank.

Shapes: M histories, T positions of a window.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Histories:
    """Holds M whole histories, one behind the other."""

    item: Ints
    """Codes of all, oldest first in each, all from 1."""
    start: Ints
    """Where each history begins, and the end of the last one [M + 1]."""

    @classmethod
    def of(cls, histories: Sequence[Sequence[int]]) -> "Histories":
        """Returns the histories of lists of codes, oldest first."""
        sizes = [len(history) for history in histories]
        items = np.array([item for history in histories for item in history], np.int64)
        return cls(items, np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)]))

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

    def windows(self, length: int) -> Ints:
        """Returns the last items of each history [M, `length`], oldest first, padded behind with 0.

        >>> Histories.of([[1, 2, 3], [], [4]]).windows(2).tolist()
        [[2, 3], [0, 0], [4, 0]]
        """
        size = np.minimum(self.sizes, length)
        place = (self.start[1:] - size)[:, None] + np.arange(length)
        inside = np.arange(length) < size[:, None]
        padded = np.append(self.item, 0)
        return np.where(inside, padded[np.minimum(place, len(self.item))], 0)
