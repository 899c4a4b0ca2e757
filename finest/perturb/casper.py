"""CASPER (arXiv 2201.12686): the training interactions whose perturbation can spread furthest.

Nodes are training rows. An edge goes from a row to the next one of its user, and to the next one of its item, among the last
`look_back - 1` of each. A user's rows stand in the data set's order, an item's in order of (timestamp, row id). Both orders agree with
(timestamp, row id) over all rows, for the data set is sorted by user and within a user by timestamp first: every edge goes forward in
that one order, so the graph has no cycle.

Counts are exact: every node carries a bit for each start node of a block, and takes the bits of its at most two predecessors, a level
of the graph at a time.
"""

from itertools import pairwise

import numpy as np
import numpy.typing as npt

from finest.data.dataset import Dataset, Ints

BLOCK_BYTES = 2**28
"""Memory for the bits of one block of start nodes."""


def cascades(data: Dataset, look_back: int) -> tuple[Ints, Ints]:
    """Start nodes that have an outgoing edge, as ids of training rows, ascending [S], and the number of rows reachable from each [S]."""
    row = np.flatnonzero(data.train)
    by_user = _chains(data.user[row], np.arange(len(row)), look_back)
    by_item = _chains(data.item[row], np.lexsort((row, data.timestamp[row])), look_back)
    start, reached = count_reachable(len(row), by_user, by_item)
    return row[start].astype(np.int64), reached


def _chains(group: Ints, order: Ints, look_back: int) -> Ints:
    """[N] the node before each within the last `look_back - 1` of its group, in `order`; -1: none."""
    order = order[np.argsort(group[order], kind="stable")]
    sorted_group = group[order]
    size = np.bincount(sorted_group)
    from_end = np.cumsum(size)[sorted_group] - np.arange(len(order))  # 1 for a group's last
    inside = np.flatnonzero((sorted_group[1:] == sorted_group[:-1]) & (from_end[:-1] <= look_back - 1)) + 1
    before = np.full(len(group), -1, dtype=np.int64)
    before[order[inside]] = order[inside - 1]
    return before


def count_reachable(nodes: int, by_user: Ints, by_item: Ints) -> tuple[Ints, Ints]:
    """Nodes with an outgoing but no incoming edge, ascending [S], and how many other nodes each reaches [S].

    `by_user` and `by_item` [nodes]: a node's predecessor of each kind, -1 where it has none; of each kind a node precedes at most one.

    >>> start, reached = count_reachable(4, np.array([-1, 0, -1, -1]), np.array([-1, -1, 1, -1]))
    >>> start.tolist(), reached.tolist()
    ([0], [2])
    """
    level_ends, node = _levels(nodes, by_user, by_item)
    # The graph's nodes renumbered by level, so that a level is a slice; the row behind the last is all zeros, for no predecessor.
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
    order = np.argsort(node[:S])
    return node[:S][order], reached[order]


def _levels(nodes: int, by_user: Ints, by_item: Ints) -> tuple[list[int], Ints]:
    """Nodes that have an edge, by the length of the longest path to them; where each level ends."""
    after_user, after_item = _inverse(by_user), _inverse(by_item)
    waiting = (by_user >= 0).astype(np.int64) + (by_item >= 0)
    level = np.flatnonzero((waiting == 0) & ((after_user < nodes) | (after_item < nodes)))
    waiting = np.append(waiting, np.iinfo(np.int64).max)  # for no node, which never is ready: levels are many, and a test for it is a call
    ends: list[int] = []
    order = [level]
    while len(level):
        ends.append(len(level) + (ends[-1] if ends else 0))
        ready = []
        for after in (after_user[level], after_item[level]):
            left = waiting[after] - 1
            waiting[after] = left
            ready.append(after[left == 0])
        level = np.concatenate(ready)
        order.append(level)
    return ends, np.concatenate(order)


def _inverse(before: Ints) -> Ints:
    """The node after each; their number for none."""
    after = np.full(len(before), len(before), dtype=np.int64)
    has = np.flatnonzero(before >= 0)
    after[before[has]] = has
    return after


def _column_sums(bits: npt.NDArray[np.uint64]) -> Ints:
    """How often each bit is set, over the rows."""
    sums = np.zeros(64 * bits.shape[1], dtype=np.int64)
    for first in range(0, len(bits), 255):  # sums of 255 rows fit a byte
        rows = np.unpackbits(bits[first : first + 255].astype("<u8").view(np.uint8), axis=1, bitorder="little")
        sums += rows.sum(axis=0, dtype=np.uint8)
    return sums
