"""CASPER (arXiv 2201.12686): the training interactions whose perturbation can spread furthest.

Nodes are training rows. An edge goes from a row to the next one of its user, and to the next one of its item, among the
last `look_back - 1` of each. A user's rows stand in the data set's order, an item's in order of (timestamp, row id).
Both orders agree with (timestamp, row id) over all rows, for the data set is sorted by user and within a user by
timestamp first: every edge goes forward in that one order, so the graph has no cycle.

Counts are exact: every node carries a bit for each start node of a block, and takes the bits of its at most two
predecessors, a level of the graph at a time.
"""

from __future__ import annotations

from array import array
from itertools import pairwise
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import Field

from finest.perturb.registry import FAMILIES, Family, Options

if TYPE_CHECKING:
    from finest.data.dataset import Dataset, Ints

CHUNK = 2**20
"""Nodes that are plain numbers at a time."""
BLOCK_BYTES = 2**28
"""Memory for the bits of one block of start nodes."""


@FAMILIES.register("casper")
class Casper(Family):
    """Selects the start nodes that reach the most rows; among those that reach as many, at random."""

    class Config(Options):
        """Says how far back edges go."""

        look_back: int = Field(default=50, ge=2)
        """A user's or an item's last `look_back - 1` interactions carry edges. As published: 50."""

    config: Config
    candidates: ClassVar[str] = "start nodes with an outgoing edge (a smaller look_back makes more)"

    def select(self, data: Dataset, count: int, generator: np.random.Generator) -> Ints:
        """Ranks all start nodes."""
        start, reached = cascades(data, self.config.look_back)
        tie = generator.random(len(start))
        return start[np.lexsort((tie, -reached))[:count]]


def cascades(data: Dataset, look_back: int) -> tuple[Ints, Ints]:
    """Counts the rows that a change of each start node can spread to.

    Args:
        data: The data set.
        look_back: How many of a user's or an item's last rows, plus one, carry edges.

    Returns:
        Start nodes that have an outgoing edge, as ids of training rows, ascending [S]; the number of rows reachable
        from each [S].
    """
    row = np.flatnonzero(data.train)
    in_time = np.lexsort((row, data.timestamp[row]))
    by_user = _chains(data.user[row], np.arange(len(row)), look_back)
    by_item = _chains(data.item[row], in_time, look_back)
    start, reached = count_reachable(in_time, by_user, by_item)
    return row[start].astype(np.int64), reached


def _chains(group: Ints, order: Ints, look_back: int) -> Ints:
    """Returns the node before each [N] in `order`, in the last `look_back - 1` of its group; -1 where none is."""
    order = order[np.argsort(group[order], kind="stable")]
    sorted_group = group[order]
    size = np.bincount(sorted_group)
    from_end = np.cumsum(size)[sorted_group] - np.arange(len(order))  # 1 for a group's last
    inside = np.flatnonzero((sorted_group[1:] == sorted_group[:-1]) & (from_end[:-1] <= look_back - 1)) + 1
    before = np.full(len(group), -1, dtype=np.int64)
    before[order[inside]] = order[inside - 1]
    return before


def count_reachable(order: Ints, by_user: Ints, by_item: Ints) -> tuple[Ints, Ints]:
    """Counts, for every node with an outgoing but no incoming edge, the other nodes that it reaches.

    Here 0 leads to 1 along its user, 1 to 2 along its item, and 3 stands alone:

    >>> start, reached = count_reachable(np.arange(4), np.array([-1, 0, -1, -1]), np.array([-1, -1, 1, -1]))
    >>> start.tolist(), reached.tolist()
    ([0], [2])

    Args:
        order: The nodes [N], each behind its predecessors.
        by_user: Each node's predecessor along its user [N], -1 where it has none; a node precedes at most one.
        by_item: Likewise along its item [N].

    Returns:
        The start nodes, ascending [S], and how many other nodes each reaches [S].
    """
    nodes = len(order)
    level_ends, node = _levels(order, by_user, by_item)
    # The graph's nodes renumbered by level, so that a level is a slice; the row behind the last is all zeros, for no
    # predecessor.
    N = len(node)
    number = np.full(nodes + 1, N)
    number[node] = np.arange(N)
    before_user, before_item = number[by_user[node]], number[by_item[node]]
    S = level_ends[0] if len(level_ends) else 0
    reached = np.zeros(S, dtype=np.int64)
    words = max(1, min(-(-S // 64), BLOCK_BYTES // (8 * (N + 1))))
    for first in range(0, S, 64 * words):
        block = np.arange(first, min(first + 64 * words, S))
        bits = np.zeros((N + 1, -(-len(block) // 64)), dtype=np.uint64)
        bits[block, (block - first) // 64] = np.uint64(1) << ((block - first) % 64).astype(np.uint64)
        for low, high in pairwise(level_ends):
            bits[low:high] = bits[before_user[low:high]] | bits[before_item[low:high]]
        reached[block] = _column_sums(bits)[: len(block)] - 1
    ascending = np.argsort(node[:S])
    return node[:S][ascending], reached[ascending]


def _levels(order: Ints, by_user: Ints, by_item: Ints) -> tuple[list[int], Ints]:
    """Sorts the nodes that have an edge by level, which is the length of the longest path to a node.

    No node depends on another of its level, so that a level can be computed at once. Here 0 leads to 1, and both lead
    to 2, which is on level 2 for the longer way; 3 has no edge:

    >>> _levels(np.arange(4), np.array([-1, 0, 1, -1]), np.array([-1, -1, 0, -1]))
    ([1, 2, 3], array([0, 1, 2]))

    Returns:
        How many nodes there are up to the end of each level, and the nodes.
    """
    number = np.zeros(len(order) + 1, dtype=np.int64)  # in `order`, from 1; the last is for no predecessor
    number[order] = np.arange(1, len(order) + 1)
    levels = array("q", [-1])
    # A loop over plain numbers: levels are so many and so small that arrays of them take several times as long.
    for first in range(0, len(order), CHUNK):
        node = order[first : first + CHUNK]
        for user, item in zip(number[by_user[node]].tolist(), number[by_item[node]].tolist(), strict=True):
            one, other = levels[user], levels[item]
            levels.append((one if one > other else other) + 1)
    level = np.empty(len(order), dtype=np.int64)
    level[order] = np.frombuffer(levels, dtype=np.int64)[1:]
    precedes = np.zeros(len(order) + 1, dtype=bool)
    precedes[by_user] = precedes[by_item] = True  # index -1 is the last again
    node = np.flatnonzero(precedes[:-1] | (level > 0))
    return np.cumsum(np.bincount(level[node])).tolist(), node[np.argsort(level[node], kind="stable")]


def _column_sums(bits: npt.NDArray[np.uint64]) -> Ints:
    """Counts how often each bit is set, over the rows."""
    sums = np.zeros(64 * bits.shape[1], dtype=np.int64)
    for first in range(0, len(bits), 255):  # sums of 255 rows fit a byte
        rows = np.unpackbits(bits[first : first + 255].astype("<u8").view(np.uint8), axis=1, bitorder="little")
        sums += rows.sum(axis=0, dtype=np.uint8)
    return sums
