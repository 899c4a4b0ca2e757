"""The features of many histories at once, as columns of numbers: what weights are fitted to.

Shapes: M histories, I items, E pairs of a history and an item that has a feature.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from finest.histories import Histories, Ints
from finest.memory.registry import FEATURES
from finest.memory.seen import Floats, Pairs, Seen
from finest.memory.tables import Counts


@dataclass(frozen=True)
class Featured:
    """Holds the features of M histories. Computed when asked for, once."""

    counts: Counts
    histories: Histories
    names: Sequence[str]
    """Names of the features."""

    @cached_property
    def everywhere(self) -> Floats:
        """Returns the items' log popularity [I]."""
        return np.log(self.counts.popularity[1:]).astype(np.float32)

    @cached_property
    def place(self) -> Ints:
        """Returns where each pair that has a feature stands in a flat matrix of M x I scores [E], ascending."""
        return distinct(np.concatenate([*self._flat.values(), np.empty(0, np.int64)]))

    @cached_property
    def columns(self) -> dict[str, Floats]:
        """Returns every feature's value at these places [E]."""
        among = {shared: np.searchsorted(self.place, flat) for shared, flat in self._flat.items()}
        columns = {}
        for name, (pairs, values) in self._values.items():
            columns[name] = np.zeros(len(self.place), np.float32)
            columns[name][among[id(pairs)]] = values
        return columns

    def flat(self, pairs: Pairs) -> Ints:
        """Returns where pairs stand in that matrix."""
        return pairs.flat(len(self.everywhere))

    @cached_property
    def _flat(self) -> dict[int, Ints]:
        """Returns the places of the features' pairs, by the pairs' identity: several features share theirs."""
        return {id(pairs): self.flat(pairs) for pairs, _ in self._values.values()}

    def only(self, chosen: npt.NDArray[np.bool_]) -> "Featured":
        """Returns some of the histories."""
        size = self.histories.sizes
        start = np.concatenate([[0], np.cumsum(size[chosen])])
        return Featured(self.counts, Histories(self.histories.item[np.repeat(chosen, size)], start), self.names)

    @cached_property
    def _values(self) -> dict[str, tuple[Pairs, Floats]]:
        seen = Seen(self.counts, self.histories)
        return {name: FEATURES[name].values(seen) for name in self.names}


def distinct(values: Ints) -> Ints:
    """Returns the distinct values, ascending: several times as fast as `numpy.unique`, which hashes them.

    >>> distinct(np.array([3, 1, 3, 2])).tolist(), distinct(np.empty(0, np.int64)).tolist()
    ([1, 2, 3], [])
    """
    ordered = np.sort(values)
    return ordered[np.diff(ordered, prepend=ordered[:1] - 1) > 0]


def size(column: Floats) -> float:
    """Returns how large a feature is: the root mean square of what is not 0."""
    there = column[column != 0].astype(np.float64)
    return float(np.sqrt((there**2).mean())) if len(there) else 1.0
