import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks import quality
from benchmarks.peer_exchange import Asked, Patience, Rows, Score, Watch, cut, ranked
from benchmarks.quality_page import JSON, LABELS, PAGE, VALUES, Cell, DataSet, Pages, markdown, summary
from finest.models.ranking import rank, top


def test_the_page_is_the_committed_measurement() -> None:
    tables = re.search(r"<!-- quality.json -->\n(.*?)<!-- end -->", PAGE.read_text(), re.DOTALL)
    assert tables and tables[1] == markdown(Pages.read(JSON))


def test_peers_lists_are_taken_as_ours_are() -> None:
    generator = np.random.default_rng(0)
    scores_BI = torch.from_numpy(generator.integers(0, 6, (5, 12)).astype(np.float32))  # with ties
    start = np.array([0, 2, 2, 5, 6, 9])
    asked = Asked(generator.integers(1, 13, 9), start, np.array([3, 0, 7, 12, 1]))
    ((items, scores, ranks),) = ranked(constant(scores_BI), asked, 4, exclude_seen=True, depth=12)
    expected = scores_BI.clone()
    expected[np.repeat(np.arange(5), np.diff(start)), asked.item - 1] = -torch.inf
    np.testing.assert_equal(items, top(expected, 12)[0])
    np.testing.assert_equal(scores, top(expected, 12)[1])
    np.testing.assert_equal(ranks, rank(expected, asked.target))


def test_a_window_is_the_last_items_padded_before() -> None:
    asked = Asked(np.array([5, 6, 7, 8]), np.array([0, 3, 4]), np.array([1, 1]))
    assert asked.windows(slice(0, 2), 2).tolist() == [[6, 7], [0, 8]]


def test_epochs_are_chosen_on_the_last_row_of_every_user_that_has_another() -> None:
    rows = Rows(np.array([0, 0, 0, 1, 2, 2]), np.array([4, 5, 6, 7, 8, 9]), 9)
    kept, asked = cut(rows)
    assert (kept.user.tolist(), kept.item.tolist()) == ([0, 0, 1, 2], [4, 5, 7, 8])
    assert (asked.item.tolist(), asked.start.tolist(), asked.target.tolist()) == ([4, 5, 8], [0, 2, 3], [6, 9])


def constant(scores: torch.Tensor) -> Score:
    return lambda windows: scores.clone()


def test_training_stops_once_patience_is_over_and_the_best_epoch_is_told() -> None:
    asked = Asked(np.array([1]), np.array([0, 1]), np.array([2]))
    chosen = Patience(asked, 1, exclude_seen=False, patience=2, most=9)
    scores = [torch.tensor([[0.5, value]]) for value in (0.1, 0.9, 0.2, 0.3)]
    with Watch(chosen) as watch:
        stops = [watch.after_epoch(constant(one)) for one in scores]
    assert stops == [False, False, False, True]
    assert (chosen.best, watch.epochs) == (2, 4)


def cells(*mrr: float) -> list[Cell]:
    columns = {"recall_at_10": np.zeros(2), "ndcg_at_10": np.zeros(2), "user": np.array(["a", "b"])}
    facts = {
        "coverage": 0.5,
        "cpu_s": 3.0,
        "wall_s": 4.0,
        "date": "",
        "commit": "",
        "hardware": "",
        "settings": "",
        "told": {},
    }
    return [Cell(seed, {**columns, "mrr": np.full(2, value)}, facts) for seed, value in enumerate(mrr)]


def test_a_row_is_a_mean_over_seeds_beside_the_best_simple_recommender() -> None:
    rows = summary({"stack": cells(0.2, 0.4), "markov": cells(0.1), "item_knn": cells(0.2)})
    assert list(rows) == [name for name in LABELS if name in rows], "rows are in the page's order"
    assert rows["stack"].values["mrr"] == pytest.approx(0.3)
    assert rows["stack"].of_seeds["mrr"] == pytest.approx([0.2, 0.4])
    assert rows["stack"].over_simple == pytest.approx([0.5, 0.5, 0.5])
    assert rows["item_knn"].over_simple is None


def test_rows_of_another_work_folder_stay_with_their_date_where_the_data_is_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quality, "JSON", tmp_path / "quality.json")
    said = {"split": "all", "items": 3, "training_rows": 4, "instances": 2, "peer_length": 50}

    def measured(work: str, model: str, date: str, users: int = 2) -> DataSet:
        place = tmp_path / work / f"{model}-0"
        place.mkdir(parents=True)
        facts = {"coverage": 1.0, "cpu_s": 1.0, "wall_s": 1.0, "date": date, "commit": "c", "hardware": "h"}
        (place / f"{model}.json").write_text(json.dumps({**facts, "settings": "", "told": {}}))
        values: dict[str, Any] = {name: np.array([0.5, 1.0]) for name in VALUES}
        np.savez(place / model, user=np.array(["a", "b"]), **values)
        (place / "finished").write_text("digest")
        quality.write("made up", {**said, "users": users}, tmp_path / work)
        return Pages.read(tmp_path / "quality.json").sets["made up"]

    measured("first", "network", "yesterday")
    both = measured("second", "popularity", "today").models
    assert {name: row.date for name, row in both.items()} == {"popularity": "today", "network": "yesterday"}
    assert list(measured("third", "network", "tomorrow", users=5).models) == ["network"]
