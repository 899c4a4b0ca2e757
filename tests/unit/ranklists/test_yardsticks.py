"""Yardsticks: each ranks as its one sentence says, by a slow loop."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from finest.data.dataset import Dataset
from finest.data.epoch import DAY
from finest.memory.config import MemoryConfig
from finest.memory.counts import counted
from finest.ranklists.schema import RankLists
from finest.ranklists.yardsticks import DAYS, YARDSTICKS, lists
from tests.builders import random_dataset


def data(exclude_seen: bool = False) -> Dataset:
    made = random_dataset()
    return replace(made, manifest=made.manifest.model_copy(update={"exclude_seen": exclude_seen}))


def taken(given: Dataset) -> dict[str, RankLists]:
    return dict(lists(given, counted(given, given.training_rows(), MemoryConfig(), threads=1)))


def test_those_that_repeat_are_left_out_where_lists_may_not_repeat() -> None:
    assert set(taken(data())) == set(YARDSTICKS)
    assert set(YARDSTICKS) - set(taken(data(exclude_seen=True))) == {"frequency"}


@pytest.mark.parametrize("exclude_seen", [False, True])
def test_lists_are_whole_and_targets_have_the_ranks_that_the_lists_say(exclude_seen: bool) -> None:
    given = data(exclude_seen)
    instances = given.instances()
    for name, listed in taken(given).items():
        assert listed.description.role == "baseline" and listed.description.model == name
        for row, target in enumerate(instances.target):
            seen = set(given.item[given.starts[instances.user[row]] : instances.row[row]].tolist())
            items = listed.items[row][listed.items[row] >= 0].tolist()
            assert len(set(items)) == len(items) and not (exclude_seen and seen & set(items))
            scores = listed.scores[row][: len(items)].tolist()
            own = scores[items.index(target)] if target in items else scores[-1]
            if own > scores[-1] and scores.count(own) == 1:  # not tied, with what is not listed either
                assert listed.target_rank[row] == items.index(target) + 1
            if target == 0 or (exclude_seen and target in seen):
                assert np.isnan(listed.target_rank[row])


def test_frequency_lists_what_the_user_has_most_often_the_latest_first() -> None:
    given = data()
    instances, listed = given.instances(), taken(given)["frequency"]
    for row in range(len(instances)):
        history = given.item[given.starts[instances.user[row]] : instances.row[row]].tolist()
        times = Counter(item for item in history if item)
        expected = sorted(times, key=lambda item: (-times[item], history[::-1].index(item)))
        depth = min(len(expected), listed.items.shape[1])
        assert listed.items[row][:depth].tolist() == expected[:depth]


def test_markov_lists_what_came_next_in_training_rows() -> None:
    given = data()
    instances, listed = given.instances(), taken(given)["markov"]
    following: dict[int, Counter[int]] = {}
    for row in range(1, len(given.item)):
        a, b = int(given.item[row - 1]), int(given.item[row])
        if a and b and given.train[row - 1 : row + 1].all() and given.user[row - 1] == given.user[row]:
            following.setdefault(a, Counter())[b] += 1
    for row in range(len(instances)):
        history = [item for item in given.item[given.starts[instances.user[row]] : instances.row[row]].tolist() if item]
        counts = following.get(history[-1], Counter())
        found = [counts[item] for item in listed.items[row].tolist() if item > 0]
        depth = min(len(counts), len(found))
        assert found[:depth] == sorted(counts.values(), reverse=True)[:depth]


def test_recent_popularity_counts_the_last_days_alone() -> None:
    given = data()
    listed = taken(given)["recent_popularity"]
    lately = given.train & (given.timestamp > given.timestamp[given.train].max() - DAYS * DAY)
    counts = np.bincount(given.item[lately & (given.item > 0)], minlength=given.items + 1)
    assert counts[listed.items[0][0]] == counts.max()
