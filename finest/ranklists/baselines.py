"""Makes the rank lists of two baselines that any model must beat."""

from collections.abc import Iterator

import numpy as np

from finest.data.dataset import Dataset, Ints
from finest.keys import numpy_generator
from finest.ranklists.schema import Description, RankLists, Role, build, describe_catalogue

LABELS = {"popularity": "the most popular items", "repeat_last": "the history's items, the last one first"}
"""What each baseline ranks, for a reader of the report."""
CHUNK = 1024
"""Number of instances whose whole histories are held at a time."""


def popularity(data: Dataset) -> RankLists:
    """Ranks items by their training interactions; ties by a keyed permutation.

    Items of the history are left out where the data excludes seen items.
    """
    counts = data.item_counts
    order = np.lexsort((numpy_generator("popularity").permutation(data.items), -counts[1:])) + 1
    place = np.empty(data.items + 1, dtype=np.int64)
    place[order] = np.arange(data.items)
    ascending = np.sort(counts[1:])
    items, scores, rank = _empty(data)
    for part, row, target, history, item in _histories(data):
        if not data.manifest.exclude_seen:
            history, item = history[:0], item[:0]
        longest = np.bincount(history, minlength=1).max()
        kept = np.ones((len(row), min(data.items, data.manifest.depth + int(longest))), dtype=bool)
        inside = place[item] < kept.shape[1]
        kept[history[inside], place[item[inside]]] = False
        column = np.cumsum(kept, axis=1) - 1
        listed = np.nonzero(kept & (column < data.manifest.depth))
        at = (part[listed[0]], column[listed])
        items[at] = order[listed[1]]
        scores[at] = counts[order[listed[1]]]
        own, others = counts[target], counts[item]
        better = (
            data.items
            - np.searchsorted(ascending, own, "right")
            - np.bincount(history, others > own[history], len(row))
        )
        equal = np.searchsorted(ascending, own, "right") - np.searchsorted(ascending, own, "left")
        equal = equal - np.bincount(history, others == own[history], len(row))
        rank[part] = better + (equal + 1) / 2
        rank[part[history[item == target[history]]]] = np.nan
        rank[part[target == 0]] = np.nan
    return build(data, data.instances(), items, scores, rank, _description(data, "popularity"))


def repeat_last(data: Dataset) -> RankLists:
    """Ranks the history's distinct items, the last one first; the others are tied behind them, and not listed.

    The history is never left out, for nothing would be left. Where the data excludes seen items, a target in the
    history cannot be ranked, as for any model.
    """
    items, scores, rank = _empty(data)
    for part, row, target, history, item in _histories(data):
        size = np.bincount(history, minlength=len(row))
        recency = np.cumsum(size)[history] - 1 - np.arange(len(history))
        listed = recency < data.manifest.depth
        at = (part[history[listed]], recency[listed])
        items[at] = item[listed]
        scores[at] = 1 / (1 + recency[listed])
        rank[part] = size + (data.items - size + 1) / 2
        found = item == target[history]
        rank[part[history[found]]] = np.nan if data.manifest.exclude_seen else 1 + recency[found]
        rank[part[target == 0]] = np.nan
    return build(
        data,
        data.instances(),
        items,
        scores,
        rank,
        _description(data, "repeat_last"),
    )


def _empty(data: Dataset) -> tuple[Ints, np.ndarray, np.ndarray]:
    shape = (len(data.instances()), data.manifest.depth)
    return np.full(shape, -1, dtype=np.int64), np.full(shape, np.nan, dtype=np.float32), np.empty(shape[0])


def _description(data: Dataset, name: Role) -> Description:
    return Description(
        catalogue=describe_catalogue(data.item_ids),
        model=name,
        role=name,
        stage="tuned",
        depth=data.manifest.depth,
        exclude_seen=data.manifest.exclude_seen,
        data_fingerprint=data.manifest.fingerprint,
        extra={"label": LABELS[name]},
    )


def _histories(data: Dataset) -> Iterator[tuple[Ints, Ints, Ints, Ints, Ints]]:
    """Yields chunks of instances with the distinct items of their histories.

    A chunk is: numbers of the instances [B], their rows [B], targets [B], and pairs of a place in the chunk [S] and a
    catalogue item [S], by instance, oldest first by the item's last interaction.
    """
    again = _next_of_the_same(data)
    instances = data.instances()
    start = data.starts
    for first in range(0, len(instances), CHUNK):
        part = np.arange(first, min(first + CHUNK, len(instances)))
        row = instances.row[part]
        length = row - start[instances.user[part]]
        history = np.repeat(np.arange(len(part)), length)
        before = np.arange(len(history)) + (row - np.cumsum(length))[history]
        last = (data.item[before] > 0) & (again[before] >= row[history])
        yield part, row, instances.target[part], history[last], data.item[before[last]]


def _next_of_the_same(data: Dataset) -> Ints:
    """Returns the user's next row with the same item [N]; N where there is none."""
    N = len(data.item)
    order = np.lexsort((data.item, data.user))  # stable: rows of one user and item stay in order
    same = (np.diff(data.user[order]) == 0) & (np.diff(data.item[order]) == 0)
    again = np.full(N, N, dtype=np.int64)
    again[order[:-1][same]] = order[1:][same]
    return again
