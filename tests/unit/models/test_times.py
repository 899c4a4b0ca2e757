"""Times on their way to a model that reads them: through windows, edits, another catalogue, files and requests."""

import logging
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch

from finest.data.dataset import Dataset
from finest.data.epoch import END
from finest.histories import UNKNOWN, Histories
from finest.models.registry import MODELS, build
from finest.models.saved import LATEST, Facts, SavedModel, ranked, recommend
from finest.perturb.edits import Edits, apply
from finest.serving.histories import histories
from finest.training.references import reference_model
from finest.training.windows import fill, plan_windows
from tests.builders import random_dataset, written_dataset
from tests.builders import stored as written
from tracking.served_model import ServedModel

HOUR = 3_600_000_000
TIMED = [name for name in MODELS if MODELS[name].timed]


def data_of(**options: Any) -> Dataset:
    """Random histories at odd times, ties among them."""
    data = random_dataset(**options)
    gaps = np.random.default_rng(0).integers(0, 2, len(data.item)) << (data.item % 40)
    return replace(data, timestamp=1_700_000_000_500_123 + np.cumsum(gaps))


def saved(name: str, data: Dataset) -> SavedModel:
    config = MODELS[name].Config.model_validate({"hidden_size": 8, "num_layers": 1, "max_length": 6})
    model = build(config, data.items)
    model.initialise(0, 0.5)
    facts = Facts(model=config, seed=0, data_fingerprint="", depth=5, exclude_seen=False, stage="base")
    return SavedModel(model.eval(), facts, data.item_ids.tolist())


def test_a_window_has_each_input_with_its_own_time_whatever_is_edited() -> None:
    data = data_of()
    clean = data.training_rows()
    second = dict(zip(clean.id.tolist(), (clean.timestamp // 1_000_000).tolist(), strict=True))
    plan = plan_windows(clean, 4)
    for kind in ("deletion", "replacement", "insertion"):
        row = clean.id[2::5]
        rows = apply(clean, [Edits(kind, row, np.full(len(row), 0 if kind == "deletion" else 3))])
        windows, plain = fill(rows, plan, timed=True), fill(rows, plan)
        assert np.array_equal(windows.inputs[..., 0], plain.inputs) and plain.inputs.ndim == 2
        assert np.array_equal(windows.targets, plain.targets) and np.array_equal(windows.ids, plain.ids)
        # An inserted row has the time of the row behind it: either way a row's time is that of its anchor.
        behind = np.flatnonzero(np.r_[False, rows.user[1:] == rows.user[:-1]])
        inputs = list(zip(rows.item[behind - 1], (second[id] for id in rows.anchor[behind - 1].tolist()), strict=True))
        there = windows.inputs[windows.inputs[..., 0] > 0].tolist()
        assert sorted(map(tuple, there)) == sorted(inputs)
        assert not windows.inputs[windows.inputs[..., 0] == 0].any()


@pytest.mark.parametrize("name", TIMED)
def test_reference_lists_are_what_the_model_ranks_after_the_rows_before_at_their_times(name: str) -> None:
    data = data_of()
    rows, model = data.training_rows(), saved(name, data).model
    reference = reference_model(model, rows, 5)
    stored = reference.take()
    mine = np.flatnonzero(rows.user == 3)
    for place in range(1, len(mine)):
        before = mine[(place - 1) // 6 * 6 : place]
        history = np.stack([rows.item[before], rows.timestamp[before] // 1_000_000], -1)
        with torch.no_grad():
            scores = model.scores(model.encode(torch.from_numpy(history)[None], None)[0, -1:])[0]
        assert stored.lists[stored.of_row[rows.id[mine[place]]]].tolist() == scores.topk(5).indices.tolist()
    held, lists = reference.recomputed().lists_of(torch.from_numpy(rows.id[mine]))
    assert lists.tolist() == stored.lists[stored.of_row[rows.id[mine[held]]]].tolist()


@pytest.mark.parametrize("name", TIMED)
def test_items_that_another_catalogue_lacks_take_their_times_with_them(name: str) -> None:
    data = written_dataset({"ann": "a x b c", "bob": "b c x a x c"}, timestamps=[HOUR * n**3 for n in range(10)])
    rows = data.training_rows()
    model = saved(name, written_dataset({"ann": "a b c"})).model  # its codes are ours but for x, the last one
    to_theirs = np.array([0, 1, 2, 3, 0])
    known = rows.item < 4
    columns = {field: column[known] for field, column in vars(rows).items()}
    expected = reference_model(model, replace(rows, **columns), 3).take()
    found = reference_model(model, rows, 3, to_theirs).take()
    asked = [3, 9]  # c behind a x b, c behind b c x a x: the target behind an unknown item has none
    assert found.of_row[asked[0]] >= 0 > found.of_row[asked[1]]
    assert found.lists[found.of_row[3]].tolist() == expected.lists[expected.of_row[3]].tolist()


@pytest.mark.parametrize("rows", [1, 7, 1000])
@pytest.mark.parametrize("name", TIMED)
def test_lists_for_all_users_and_requests_with_times_are_the_same(
    name: str, rows: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("finest.serving.histories.ROWS", rows)
    data = data_of()
    model = saved(name, data)
    users = np.arange(len(data.user_ids), dtype=np.int32)
    words = pa.array(data.item_ids[1:].tolist(), pa.string())
    found = [ranked(model, some, 5)[0] for some in histories(written(data, tmp_path), users, words, timed=True)]
    of = [data.user == user for user in users]
    seconds = [(data.timestamp[one] // 1_000_000).tolist() for one in of]
    items, _ = recommend(model, [data.target_ids[one].tolist() for one in of], 5, seconds)
    assert [[model.item_ids[code] for code in row] for row in np.concatenate(found)] == items
    without, _ = recommend(model, [data.target_ids[one].tolist() for one in of], 5)
    assert without != items  # so times have come through


def test_a_request_with_other_than_a_time_for_each_item_is_refused_where_times_are_read() -> None:
    data = written_dataset({"ann": "a b c"})
    model, plain = saved("tisasrec", data), saved("sasrec", data)
    for number in (0, 1, 3):
        said = f"^timestamps: {number} for a history of 2 items; give one for each, or none$"
        with pytest.raises(ValueError, match=said):
            recommend(model, [["a", "b"]], 2, [[1] * number])
    for odd in (-1, LATEST, 1_700_000_000_000):
        with pytest.raises(ValueError, match="is no time from 1970 to 2200; give whole seconds"):
            recommend(model, [["a", "b"]], 2, [[1, odd]])
        assert recommend(plain, [["a", "b"]], 2, [[1, odd]]) == recommend(plain, [["a", "b"]], 2)
    assert END == LATEST * 1_000_000


@pytest.mark.parametrize("name", TIMED)
def test_a_history_without_times_does_not_disturb_one_with_times(name: str) -> None:
    data = data_of()
    model, history, when = saved(name, data), ["i001", "i002", "i003"], [5, 6, 90_000]
    both = recommend(model, [history, history, ["none"], []], 5, [None, when, [1], []])
    assert (both[0][0], both[1][0]) == tuple(part[0] for part in recommend(model, [history], 5))
    assert (both[0][1], both[1][1]) == tuple(part[0] for part in recommend(model, [history], 5, [when]))
    assert both[0][2:] == [[], []]
    unknown = Histories.of([[1, 2]], [[UNKNOWN, UNKNOWN]]).windows(3, timed=True)
    assert np.array_equal(unknown, Histories.of([[1, 2]]).windows(3, timed=True))


def test_the_served_model_says_once_what_it_does_without_times(caplog: pytest.LogCaptureFixture) -> None:
    served, data = ServedModel(), data_of()
    context: Any = SimpleNamespace()
    request = pd.DataFrame({"history": [["i001", "i002"], ["i003"]]})
    timed = request.assign(timestamps=pd.Series([[1, 7], [9]]))
    for name, said in (("tisasrec", 1), ("latent_cross", 1), ("sasrec", 0)):
        served.saved, served.told = saved(name, data), False
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            served.predict(context, timed)
            assert not caplog.records
            first = served.predict(context, request)
            again = served.predict(context, request.assign(timestamps=pd.Series([None, float("nan")], dtype=object)))
        assert first.equals(again)
        assert [record.message for record in caplog.records] == [
            f"a request has no timestamps: {name} {MODELS[name].without_times}"
        ] * said
