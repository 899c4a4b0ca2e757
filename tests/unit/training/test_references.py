import numpy as np
import torch

from finest.models.build import build
from finest.models.config import Model
from finest.training.references import take, take_matched
from finest.training.simulate import simulate
from tests.unit.training.small import dataset

MODEL = Model(hidden=8, layers=1, length=6, dropout=0.0)


def trained_like(items: int, seed: int = 0):
    model = build(MODEL, items)
    model.initialise(seed, 0.5)
    return model.eval()


def test_a_list_is_the_models_top_items_after_the_rows_before_it_in_its_window():
    data = dataset()
    rows, model = data.training_rows(), trained_like(data.items)
    references = take(model, rows, 4)
    user = 3
    own = np.flatnonzero(rows.user == user)
    for place in range(1, len(own)):
        window = (place - 1) // MODEL.length * MODEL.length  # the window's first input
        inputs = torch.from_numpy(rows.item[own[window:place]])[None]
        with torch.no_grad():
            scores = model.scores(model.encode(inputs, None)[0, -1:])[0]
        expected = scores.argsort(descending=True)[:8]
        assert references.lists[references.of_row[rows.id[own[place]]]].tolist() == expected.tolist()
    assert references.of_row[rows.id[own[0]]] == -1


def test_lists_of_a_champion_with_our_catalogue_in_another_order_are_the_same_items():
    data = dataset()
    rows, model = data.training_rows(), trained_like(data.items)
    shuffled = trained_like(data.items)
    order = np.random.default_rng(1).permutation(data.items) + 1  # their code of our code c is order[c - 1]
    with torch.no_grad():
        shuffled.embedding[torch.from_numpy(order)] = model.embedding[1:].clone()
        shuffled.bias[torch.from_numpy(order)] = model.bias[1:].clone()
    ours, theirs = take(model, rows, 4), take_matched(shuffled, rows, 4, np.r_[0, order])
    assert np.array_equal(ours.of_row >= 0, theirs.of_row >= 0)
    known = np.flatnonzero(ours.of_row >= 0)
    assert np.array_equal(ours.lists[ours.of_row[known]], theirs.lists[theirs.of_row[known]])


def test_lists_of_a_champion_hold_only_items_of_both_catalogues_and_skip_targets_behind_unknown_items():
    data = dataset()
    rows = data.training_rows()
    lacking = np.array([5, 17, 23])
    to_theirs = np.zeros(data.items + 1, np.int64)
    to_theirs[np.setdiff1d(np.arange(1, data.items + 1), lacking)] = np.arange(1, data.items - 2)
    references = take_matched(trained_like(data.items - 3 + 4), rows, 4, to_theirs)  # four items of theirs are not ours
    assert not np.isin(references.lists + 1, lacking).any()
    assert references.lists.min() >= 0
    behind = np.r_[False, np.isin(rows.item[:-1], lacking)] & np.r_[False, rows.user[1:] == rows.user[:-1]]
    assert np.all(references.of_row[rows.id[behind]] == -1)


def test_too_few_shared_items_leave_no_references():
    data = dataset()
    to_theirs = np.zeros(data.items + 1, np.int64)
    to_theirs[1:8] = np.arange(1, 8)
    assert len(take_matched(trained_like(10), data.training_rows(), 4, to_theirs).lists) == 0


def test_simulated_edits_are_the_same_for_every_variant_and_new_every_epoch():
    data = dataset(users=40)
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
