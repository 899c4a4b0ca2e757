"""Features of an item for a history, from counts and from the history itself. Most items have none: all are sparse.

Shapes: I items, E pairs of a history and an item.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from finest.histories import Histories
from finest.memory.registry import FEATURES, feature
from finest.memory.seen import Floats, Pairs, Seen
from finest.memory.tables import Counts


@FEATURES.register("follows")
@feature()
def follows(seen: Seen) -> tuple[Pairs, Floats]:
    """Computes log(1 + s / (.1 p)): how much more often an item followed the last ones than its popularity p says."""
    pairs, share = seen.followed
    return pairs, np.log1p(share / (0.1 * seen.counts.popularity[pairs.item])).astype(np.float32)


@FEATURES.register("follows_linear")
@feature()
def follows_linear(seen: Seen) -> tuple[Pairs, Floats]:
    """Computes log(1 + s / .0001), which is linear but for the smallest shares s."""
    pairs, share = seen.followed
    return pairs, np.log1p(share / np.float32(1e-4))


@FEATURES.register("alike")
@feature()
def alike(seen: Seen) -> tuple[Pairs, Floats]:
    """Computes log(1 + k / .02) of the mean cosine k."""
    pairs, cosine = seen.alike
    return pairs, np.log1p(cosine / np.float32(0.02))


@FEATURES.register("alike_linear")
@feature()
def alike_linear(seen: Seen) -> tuple[Pairs, Floats]:
    """Computes 10 k of the mean cosine k."""
    pairs, cosine = seen.alike
    return pairs, 10 * cosine


@FEATURES.register("seen")
@feature(repeats=True)
def own(seen: Seen) -> tuple[Pairs, Floats]:
    """Computes 1 for every item of the history."""
    return seen.own, np.ones(len(seen.times), np.float32)


@FEATURES.register("times")
@feature(repeats=True)
def times(seen: Seen) -> tuple[Pairs, Floats]:
    """Computes the logarithm of how often the history has the item."""
    return seen.own, np.log(seen.times).astype(np.float32)


@FEATURES.register("recency")
@feature(repeats=True)
def recency(seen: Seen) -> tuple[Pairs, Floats]:
    """Computes minus the logarithm of the number of interactions since the history had the item."""
    return seen.own, -np.log(seen.since).astype(np.float32)


@FEATURES.register("own_follows")
@feature(repeats=True)
def own_follows(seen: Seen) -> tuple[Pairs, Floats]:
    """Computes log(1 + n) of how often the item followed the last one in this very history."""
    pairs, often = seen.successors
    return pairs, np.log1p(often).astype(np.float32)


@FEATURES.register("seen_by_habit")
@feature(repeats=True)
def seen_by_habit(seen: Seen) -> tuple[Pairs, Floats]:
    """Computes, for every item of the history, how readily this history repeats items."""
    return seen.own, seen.again[seen.own.history]


@FEATURES.register("times_by_habit")
@feature(repeats=True)
def times_by_habit(seen: Seen) -> tuple[Pairs, Floats]:
    """Computes the logarithm of how often the history has the item, times how readily it repeats items."""
    return seen.own, np.log(seen.times).astype(np.float32) * seen.again[seen.own.history]


NETWORK, POPULARITY = "network", "popularity"
"""Names of the weights that are no feature's: of a network's log-probabilities, and of the items' log popularity."""


@dataclass(frozen=True)
class Memory:
    """Holds what scores items beside a network: what was counted, and a weight for everything."""

    counts: Counts
    weights: Mapping[str, float]
    """By feature, with NETWORK and POPULARITY; what has no weight is not computed."""

    @property
    def network(self) -> float:
        """Returns the weight of the network's log-probabilities; 0 where counts serve alone."""
        return self.weights.get(NETWORK, 0.0)

    @cached_property
    def everywhere(self) -> Floats:
        """Returns what every item gets, whatever the history `[I]`; column c - 1 is the item of code c."""
        weight = self.weights.get(POPULARITY, 0.0)
        return (weight * np.log(self.counts.popularity[1:])).astype(np.float32)

    def sparse(self, histories: Histories) -> list[tuple[Pairs, Floats]]:
        """Returns what pairs of a history and an item get beside that, in parts, each pair once in a part."""
        seen = Seen(self.counts, histories)
        parts: dict[int, tuple[Pairs, Floats]] = {}
        for name, weight in self.weights.items():
            if name in (NETWORK, POPULARITY) or not weight:
                continue
            pairs, values = FEATURES[name].values(seen)
            _, before = parts.get(id(pairs), (pairs, np.float32(0)))
            parts[id(pairs)] = pairs, before + np.float32(weight) * values
        return list(parts.values())
