from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from finest.data.dataset import Dataset
from finest.ranklists import baselines, file
from finest.ranklists.schema import RankLists, describe_catalogue
from tests.builders import written_dataset
from tests.unit.gate.made_up_run import mean_rank


def listed(lists: RankLists) -> list[list[str]]:
    return [[lists.vocabulary[code] for code in row if code >= 0] for row in lists.items]


def random_data(exclude_seen: bool, depth: int) -> Dataset:
    generator = np.random.default_rng(3)
    words = {
        f"u{user}": [f"i{item}" for item in generator.integers(0, 30, generator.integers(4, 25))] for user in range(25)
    }
    histories = {user: " ".join(items[:-2]) + " | " + " ".join(items[-2:]) for user, items in words.items()}
    return written_dataset(histories, depth=depth, exclude_seen=exclude_seen)


def history(data: Dataset, row: int) -> list[int]:
    """Catalogue items before a row, oldest first."""
    return [int(item) for item in data.item[data.starts[data.user[row]] : row] if item > 0]


@pytest.mark.parametrize("exclude_seen", [True, False])
@pytest.mark.parametrize("depth", [10, 60])
def test_popularity_ranks_by_training_interactions_and_leaves_out_what_was_seen(exclude_seen: bool, depth: int) -> None:
    data = random_data(exclude_seen, depth)
    lists = baselines.popularity(data)
    instances = data.instances()
    for number, row in enumerate(instances.row):
        scores = data.item_counts[1:].astype(float)
        if exclude_seen:
            scores[np.array(history(data, row)) - 1] = -np.inf
        held = lists.items[number][lists.items[number] >= 0]
        assert len(set(held)) == len(held) == min(depth, np.isfinite(scores).sum())
        assert scores[held - 1].tolist() == sorted(scores[np.isfinite(scores)], reverse=True)[: len(held)]
        assert lists.scores[number, : len(held)].tolist() == scores[held - 1].tolist()
        target = instances.target[number]
        if target == 0 or np.isinf(scores[target - 1]):
            assert np.isnan(lists.target_rank[number])
        else:
            assert lists.target_rank[number] == mean_rank(scores[None], np.array([target - 1]))[0]


@pytest.mark.parametrize("exclude_seen", [True, False])
def test_repeat_last_lists_the_history_backwards_and_ties_the_rest_behind_it(exclude_seen: bool) -> None:
    data = random_data(exclude_seen, depth=10)
    lists = baselines.repeat_last(data)
    instances = data.instances()
    for number, row in enumerate(instances.row):
        recent = list(dict.fromkeys(reversed(history(data, row))))
        assert lists.items[number][lists.items[number] >= 0].tolist() == recent[:10]
        target = instances.target[number]
        if target == 0 or (target in recent and exclude_seen):
            assert np.isnan(lists.target_rank[number])
        elif target in recent:
            assert lists.target_rank[number] == 1 + recent.index(target)
        else:
            assert lists.target_rank[number] == np.arange(len(recent) + 1, data.items + 1).mean()


def test_a_held_out_interaction_is_history_to_the_next_instance() -> None:
    data = written_dataset({"ann": "a b | c d", "bob": "c d e"}, exclude_seen=True)
    assert listed(baselines.repeat_last(data)) == [["b", "a"], ["c", "b", "a"]]
    assert [set(items) for items in listed(baselines.popularity(data))] == [{"c", "d", "e"}, {"d", "e"}]


def test_a_target_outside_the_catalogue_cannot_be_ranked() -> None:
    data = written_dataset({"ann": "a b | new"})
    for baseline in (baselines.popularity, baselines.repeat_last):
        lists = baseline(data)
        assert lists.target.tolist() == ["new"]
        assert np.isnan(lists.target_rank).all()


def test_baselines_do_not_depend_on_the_size_of_the_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    data = random_data(True, depth=10)
    for baseline in (baselines.popularity, baselines.repeat_last):
        monkeypatch.setattr(baselines, "CHUNK", 1024)
        whole = baseline(data)
        monkeypatch.setattr(baselines, "CHUNK", 3)
        parts = baseline(data)
        for name in ("items", "scores", "target_rank"):
            np.testing.assert_array_equal(getattr(whole, name), getattr(parts, name))


def test_baselines_are_rank_list_files_of_their_role(tmp_path: Path) -> None:
    data = random_data(True, depth=10)
    for baseline, role in ((baselines.popularity, "popularity"), (baselines.repeat_last, "repeat_last")):
        made = baseline(data)
        file.write(made, tmp_path / f"{role}.parquet")
        read = file.read(tmp_path / f"{role}.parquet")
        assert (read.description.role, read.description.stage, read.description.model) == (role, "tuned", role)
        assert read.description.catalogue == describe_catalogue(data.item_ids)
        assert listed(read) == listed(made)
        assert read.user.tolist() == data.user_ids[data.instances().user].tolist()


def test_a_catalogue_is_described_by_its_items_whatever_their_order() -> None:
    data = written_dataset({"ann": "a b | c"})
    shuffled = replace(data, item_ids=data.item_ids[::-1])
    assert describe_catalogue(data.item_ids) == describe_catalogue(shuffled.item_ids)
    assert describe_catalogue(["a", "b"]) != describe_catalogue(["a,b"])
    assert describe_catalogue(["a", "b"]).items == 2
