"""Makes the rank lists of simple recommenders that count: what a model that is worth its training must beat.

Each scores items for an instance's whole history. What it has no score for stands behind, by popularity.

Shapes: B histories, I items.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from scipy import sparse

from finest.data.dataset import Dataset
from finest.data.epoch import DAY
from finest.memory.seen import Pairs, Seen
from finest.memory.tables import Counts
from finest.models.ranking import CHUNK, rank, top
from finest.ranklists.schema import Description, RankLists, build, describe_catalogue
from finest.registry import Registry

Floats = npt.NDArray[np.float32]

DAYS = 7
"""Number of days before the newest training interaction that `recent_popularity` counts."""


class Counted:
    """Holds what yardsticks count in: a data set, and the counts of its training rows."""

    def __init__(self, data: Dataset, counts: Counts):
        self.data, self.counts = data, counts
        train = data.train & (data.item > 0)
        newest = data.timestamp[train].max(initial=0)
        lately = train & (data.timestamp > newest - DAYS * DAY)
        self.recent = np.bincount(data.item[lately], minlength=data.items + 1).astype(np.float32)
        pair = train[:-1] & train[1:] & (data.user[:-1] == data.user[1:])
        a, b = data.item[:-1][pair], data.item[1:][pair]
        table = sparse.coo_array((np.ones(len(a), np.float32), (a, b)), shape=(data.items + 1, data.items + 1))
        self.next = sparse.csr_array(table)
        """[I + 1, I + 1] how often an item came right after another one."""


@dataclass(frozen=True)
class Yardstick:
    """Describes a recommender that counts."""

    scores: Callable[[Counted, Seen], tuple[Pairs, Floats]]
    """Returns positive scores of pairs of a history and an item; larger is better. All other items stand behind."""
    label: str
    """What it does, for a reader of the report."""
    repeats: bool = False
    """Whether it ranks items of the history itself, and so is of use only where lists may repeat these."""


YARDSTICKS: Registry[Yardstick] = Registry(
    "yardstick",
    "finest.yardsticks",
    "finest.ranklists.yardsticks",
    lambda thing: isinstance(thing, Yardstick),
    ordered=True,
)
"""Simple recommenders by name; other packages add theirs by entry points of `finest.yardsticks`."""


def yardstick(
    *, label: str, repeats: bool = False
) -> Callable[[Callable[[Counted, Seen], tuple[Pairs, Floats]]], Yardstick]:
    """Returns a decorator that makes a yardstick of a function.

    Args:
        label: What it does, for a reader of the report.
        repeats: Whether it ranks items of the history itself.
    """
    return lambda scores: Yardstick(scores, label, repeats)


@YARDSTICKS.register("recent_popularity")
@yardstick(label=f"the most popular items of the last {DAYS} days")
def recent_popularity(counted: Counted, seen: Seen) -> tuple[Pairs, Floats]:
    """Scores every item by its interactions of the last days."""
    item = np.flatnonzero(counted.recent)
    history = np.repeat(np.arange(len(seen.histories)), len(item))
    return Pairs(history, np.tile(item, len(seen.histories))), np.tile(counted.recent[item], len(seen.histories))


@YARDSTICKS.register("frequency")
@yardstick(label="what the user has most often, the latest first among equals", repeats=True)
def frequency(counted: Counted, seen: Seen) -> tuple[Pairs, Floats]:
    """Scores the history's items by how often it has them; by their last time where that is equal."""
    return seen.own, (seen.times + 1 / (1 + seen.since)).astype(np.float32)


@YARDSTICKS.register("markov")
@yardstick(label="what came next after the last item, of all users")
def markov(counted: Counted, seen: Seen) -> tuple[Pairs, Floats]:
    """Scores items by how often they came right after the history's last one."""
    last = seen.histories.item[seen.histories.start[1:] - 1]
    table = counted.next[last]
    return _pairs(table), table.data


@YARDSTICKS.register("sequential_rules")
@yardstick(label="what followed the last ten items, of all users")
def sequential_rules(counted: Counted, seen: Seen) -> tuple[Pairs, Floats]:
    """Scores items by the mean share by which they have followed the last ones, near ones more."""
    return seen.followed


@YARDSTICKS.register("item_knn")
@yardstick(label="items of the same users as the last ten")
def item_knn(counted: Counted, seen: Seen) -> tuple[Pairs, Floats]:
    """Scores items by the mean cosine of their users with those of the last items, near ones more."""
    return seen.alike


def lists(data: Dataset, counts: Counts) -> Iterator[tuple[str, RankLists]]:
    """Yields the name and the rank lists of every yardstick that can be used on this data.

    Args:
        data: The data set.
        counts: Counts of its training rows.
    """
    counted = Counted(data, counts)
    for name in YARDSTICKS:
        if not (YARDSTICKS[name].repeats and data.manifest.exclude_seen):
            yield name, _take(YARDSTICKS[name], name, counted)


def _take(one: Yardstick, name: str, counted: Counted) -> RankLists:
    data = counted.data
    instances, depth = data.instances(), data.manifest.depth
    behind = (counted.counts.popularity[1:] - 1).astype(np.float32)
    items = np.empty((len(instances), depth), np.int64)
    scores, ranks = np.empty((len(instances), depth), np.float32), np.empty(len(instances))
    for first in range(0, len(instances), CHUNK):
        part = slice(first, first + CHUNK)
        histories = data.histories(instances.row[part])
        pairs, values = one.scores(counted, Seen(counted.counts, histories))
        scores_BI = np.tile(behind, (len(histories), 1))
        scores_BI[pairs.history, pairs.item - 1] = values
        if data.manifest.exclude_seen:
            scores_BI[histories.row, histories.item - 1] = -np.inf
        tensor = torch.from_numpy(scores_BI)
        items[part], scores[part] = top(tensor, depth)
        ranks[part] = rank(tensor, instances.target[part])
    description = Description(
        catalogue=describe_catalogue(data.item_ids),
        model=name,
        role="baseline",
        stage="tuned",
        depth=depth,
        exclude_seen=data.manifest.exclude_seen,
        data_fingerprint=data.manifest.fingerprint,
        extra={"label": one.label},
    )
    return build(data, instances, items, scores, ranks, description)


def _pairs(table: "sparse.csr_array") -> Pairs:
    history = np.repeat(np.arange(table.shape[0]), np.diff(table.indptr))
    return Pairs(history, table.indices.astype(np.int64))
