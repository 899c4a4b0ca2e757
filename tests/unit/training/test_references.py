from pathlib import Path

import numpy as np
import pytest
import torch

from finest.models.config import SASRecConfig
from finest.models.recommender import Recommender
from finest.models.registry import MODELS, build
from finest.models.saved import Facts, save
from finest.training import references
from finest.training.reference_lists import StoredLists
from finest.training.references import RecomputedLists, own, reference_model, share, take
from finest.training.simulate import simulate
from tests.builders import random_dataset

SIZE = {"hidden_size": 8, "num_layers": 1, "max_length": 6, "dropout": 0.0}
MODEL = SASRecConfig.model_validate(SIZE)
CPU = torch.device("cpu")


def trained_like(items: int, seed: int = 0, name: str = "sasrec") -> Recommender:
    model = build(MODELS[name].Config.model_validate(SIZE), items)
    model.initialise(seed, 0.5)
    return model.eval()


def test_a_list_is_the_models_top_items_after_the_rows_before_it_in_its_window() -> None:
    data = random_dataset()
    rows, model = data.training_rows(), trained_like(data.items)
    kept = take(model, rows, 8)
    user = 3
    mine = np.flatnonzero(rows.user == user)
    for place in range(1, len(mine)):
        window = (place - 1) // MODEL.max_length * MODEL.max_length  # the window's first input
        inputs = torch.from_numpy(rows.item[mine[window:place]])[None]
        with torch.no_grad():
            scores = model.scores(model.encode(inputs, None)[0, -1:])[0]
        expected = scores.argsort(descending=True)[:8]
        assert kept.lists[kept.of_row[rows.id[mine[place]]]].tolist() == expected.tolist()
    assert kept.of_row[rows.id[mine[0]]] == -1


def test_lists_of_a_champion_with_our_catalogue_in_another_order_are_the_same_items() -> None:
    data = random_dataset()
    rows, model = data.training_rows(), trained_like(data.items)
    shuffled = trained_like(data.items)
    order = np.random.default_rng(1).permutation(data.items) + 1  # their code of our code c is order[c - 1]
    with torch.no_grad():
        shuffled.embedding[torch.from_numpy(order)] = model.embedding[1:].clone()
        shuffled.bias[torch.from_numpy(order)] = model.bias[1:].clone()
    ours, theirs = take(model, rows, 8), reference_model(shuffled, rows, 8, np.r_[0, order]).take()
    assert np.array_equal(ours.of_row >= 0, theirs.of_row >= 0)
    known = np.flatnonzero(ours.of_row >= 0)
    assert np.array_equal(ours.lists[ours.of_row[known]], theirs.lists[theirs.of_row[known]])


def test_lists_of_a_champion_hold_only_items_of_both_catalogues_and_skip_targets_behind_unknown_items() -> None:
    data = random_dataset()
    rows = data.training_rows()
    lacking = np.array([5, 17, 23])
    to_theirs = np.zeros(data.items + 1, np.int64)
    to_theirs[np.setdiff1d(np.arange(1, data.items + 1), lacking)] = np.arange(1, data.items - 2)
    kept = reference_model(
        trained_like(data.items - 3 + 4), rows, 8, to_theirs
    ).take()  # four items of theirs are not ours
    assert not np.isin(kept.lists + 1, lacking).any()
    assert kept.lists.min() >= 0
    behind = np.r_[False, np.isin(rows.item[:-1], lacking)] & np.r_[False, rows.user[1:] == rows.user[:-1]]
    assert np.all(kept.of_row[rows.id[behind]] == -1)


def test_too_few_shared_items_leave_no_references() -> None:
    data = random_dataset()
    to_theirs = np.zeros(data.items + 1, np.int64)
    to_theirs[1:8] = np.arange(1, 8)
    assert len(reference_model(trained_like(10), data.training_rows(), 8, to_theirs).take().lists) == 0


def test_simulated_edits_are_the_same_for_every_variant_and_new_every_epoch() -> None:
    data = random_dataset(users=40)
    clean = data.training_rows()
    edited = [simulate(clean, clean, data.item_counts, 0.05, 3, epoch) for epoch in range(6)]
    again = simulate(clean, clean, data.item_counts, 0.05, 3, 0)
    assert np.array_equal(again.item, edited[0].item) and np.array_equal(again.id, edited[0].id)
    touched = [frozenset(np.setdiff1d(clean.id, rows.id).tolist()) for rows in edited]
    assert len(set(touched)) > 1
    count = round(0.05 * len(clean))
    assert {len(rows) - len(clean) for rows in edited} <= {-count, 0, count}
    fewest = np.flatnonzero(data.item_counts[1:] == data.item_counts[1:].min()) + 1
    for rows in edited:
        assert np.isin(rows.item[rows.id == -1], fewest).all()


@pytest.mark.parametrize("name", list(MODELS))
@pytest.mark.parametrize("matched", [False, True])
def test_lists_taken_anew_for_any_batch_are_those_that_are_stored(
    name: str, matched: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(references, "SCORES", 60 * 7)  # a catalogue whose scores are taken in blocks of 7 targets
    data = random_dataset(users=30)
    rows, model = data.training_rows(), trained_like(data.items, name=name)
    to_theirs = np.r_[0, np.random.default_rng(1).permutation(data.items) + 1]
    to_theirs[5] = 0
    reference = reference_model(model, rows, 8, to_theirs if matched else None)
    stored, anew = reference.take(tmp_path / "lists.npy").on(CPU), reference.recomputed()
    generator = np.random.default_rng(0)
    for size in (0, 1, 5, 40, 3 * len(rows)):
        ids = torch.from_numpy(generator.choice(np.r_[-1, rows.id], size))
        for one, other in zip(stored.lists_of(ids), anew.lists_of(ids), strict=True):
            assert torch.equal(one, other)
    assert len(stored.lists_of(torch.from_numpy(rows.id))[0]) == reference.bytes // 32 > 100


def test_lists_in_blocks_and_in_a_file_are_those_taken_whole(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    data = random_dataset(users=30)
    rows, model = data.training_rows(), trained_like(data.items)
    whole = take(model, rows, 8)
    monkeypatch.setattr(references, "SCORES", 60 * 7)
    blocks = take(model, rows, 8, tmp_path / "lists.npy")
    assert np.array_equal(whole.lists, blocks.lists) and np.array_equal(whole.of_row, blocks.of_row)
    assert isinstance(blocks.lists, np.memmap) and blocks.lists.dtype == np.int32


def test_shared_lists_are_in_a_file_where_there_is_room_and_else_taken_anew(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(references, "SCORES", 60 * 7)
    data = random_dataset(users=30)
    facts = Facts(model=MODEL, seed=0, data_fingerprint="x", depth=10, exclude_seen=True, stage="base")
    save(tmp_path / "model", trained_like(data.items), facts, list(data.item_ids))
    ids = torch.from_numpy(data.training_rows().id)
    stored = share(tmp_path / "model", False, data, 8, tmp_path, CPU)
    monkeypatch.setattr(references, "DISK_SHARE", 0.0)
    anew = share(tmp_path / "model", False, data, 8, tmp_path, CPU)
    assert stored and anew and (stored.file, anew.file) == (tmp_path / "lists.npy", None)
    assert "are taken anew for every batch" in caplog.text
    for one, other in zip(*(kept.open(data, CPU).lists_of(ids) for kept in (stored, anew)), strict=True):
        assert torch.equal(one, other)
    strange = ["", *(f"other {number}" for number in range(data.items))]
    save(tmp_path / "strange", trained_like(data.items), facts, strange)
    assert share(tmp_path / "strange", True, data, 8, tmp_path, CPU) is None


def test_a_models_own_lists_stay_as_they_were_while_it_is_trained_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(references, "SCORES", 60 * 7)
    data = random_dataset(users=30)
    rows, model = data.training_rows(), trained_like(data.items)
    stored = own(model, rows, 8)
    monkeypatch.setattr(references, "MEMORY_BYTES", 0)
    anew = own(model, rows, 8)
    with torch.no_grad():
        model.embedding.mul_(-1)
    ids = torch.from_numpy(rows.id)
    assert isinstance(stored, StoredLists) and isinstance(anew, RecomputedLists)
    assert torch.equal(stored.lists_of(ids)[1], anew.lists_of(ids)[1])
