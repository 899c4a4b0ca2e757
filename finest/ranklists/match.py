"""Matches two catalogues by item id."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from finest.data.dataset import Ints
from finest.data.schema import PADDING


@dataclass(frozen=True)
class Match:
    """Holds the codes of two catalogues in terms of each other; 0, no item, where the other one lacks it."""

    forward: Ints
    """[I + 1] the second catalogue's code of each of the first's."""
    backward: Ints
    """[J + 1] the first catalogue's code of each of the second's."""

    @property
    def common(self) -> int:
        """Returns the number of items that both hold."""
        return int(np.count_nonzero(self.forward))

    @property
    def vanished(self) -> int:
        """Returns the number of items that the first alone holds."""
        return len(self.forward) - 1 - self.common

    @property
    def new(self) -> int:
        """Returns the number of items that the second alone holds."""
        return len(self.backward) - 1 - self.common


def match(first: Iterable[str], second: Iterable[str]) -> Match:
    """Matches item ids by code, padding's empty id at 0, as in `Dataset.item_ids`.

    >>> found = match(["", "a", "b"], ["", "b", "c", "d"])
    >>> found.forward.tolist(), found.backward.tolist(), found.common, found.vanished, found.new
    ([0, 0, 1], [0, 2, 0, 0], 1, 1, 2)
    """
    code = {item: number for number, item in enumerate(second)}
    forward = np.array([code.get(item, PADDING) for item in first], dtype=np.int64)
    backward = np.zeros(len(code), dtype=np.int64)
    backward[forward] = np.arange(len(forward))
    backward[PADDING] = PADDING
    return Match(forward, backward)
