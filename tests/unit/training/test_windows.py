from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from finest.data.dataset import Rows
from finest.perturb.edits import Edits, apply
from finest.training.config import Pretrain
from finest.training.pretrain import shifted
from finest.training.randomness import batches, dropout_masks
from finest.training.windows import Windows, fill, plan_windows
from tests.builders import random_dataset

LENGTH = 5


def rows_of(lengths: list[int]) -> Rows:
    user = np.repeat(np.arange(len(lengths)), lengths)
    id = np.arange(len(user)) + 7  # ids need not start at 0: held-out rows lie between
    return Rows(user, np.arange(1, len(user) + 1), id, id, id)


def contents(windows: Windows) -> list[tuple[int, int]]:
    return sorted(
        zip(windows.inputs[windows.targets > 0].tolist(), windows.targets[windows.targets > 0].tolist(), strict=True)
    )


KINDS: list[dict[str, Any]] = [
    {"bucketed": False},
    {"bucketed": True},
    *({"offset": offset} for offset in range(LENGTH)),
]


@given(st.lists(st.integers(1, 17), min_size=1, max_size=8), st.sampled_from(KINDS))
def test_every_row_but_a_users_first_is_a_target_once_and_read_after_its_predecessor(
    lengths: list[int], kind: dict[str, Any]
) -> None:
    rows = rows_of(lengths)
    windows = fill(rows, plan_windows(rows, LENGTH, **kind))
    expected = [
        (before, after)
        for before, after, u, v in zip(rows.item, rows.item[1:], rows.user, rows.user[1:], strict=False)
        if u == v
    ]
    assert contents(windows) == sorted(expected)
    assert len(windows.slot_of_extra) == 0
    shifted = (windows.targets[:, 1:] > 0) & (windows.targets[:, :-1] > 0)
    assert np.array_equal(windows.inputs[:, 1:][shifted], windows.targets[:, :-1][shifted])


def test_windows_of_a_known_history() -> None:
    rows = rows_of([8, 1])
    windows = fill(rows, plan_windows(rows, LENGTH))
    assert windows.inputs.tolist() == [[1, 2, 3, 4, 5], [6, 7, 0, 0, 0], [0, 0, 0, 0, 0]]
    assert windows.targets.tolist() == [[2, 3, 4, 5, 6], [7, 8, 0, 0, 0], [0, 0, 0, 0, 0]]
    assert windows.ids.tolist() == [[8, 9, 10, 11, 12], [13, 14, -1, -1, -1], [-1] * 5]


def test_an_insertion_into_a_full_window_spills_into_an_extra_one_that_rides_with_it() -> None:
    rows = rows_of([8, 3])
    edited = apply(rows, Edits("insertion", np.array([9]), np.array([99])))
    windows = fill(edited, plan_windows(rows, LENGTH))
    assert windows.inputs.tolist() == [[1, 2, 99, 3, 4], [6, 7, 0, 0, 0], [9, 10, 0, 0, 0], [5, 0, 0, 0, 0]]
    assert windows.slot_of_extra.tolist() == [0]


edits = st.tuples(
    st.sampled_from(["deletion", "replacement", "insertion"]), st.integers(0, 11), st.sampled_from(KINDS), st.data()
)


@settings(max_examples=60, deadline=None)
@given(edits)
def test_an_edit_to_one_user_leaves_every_other_users_windows_batch_mates_and_masks_bitwise_unchanged(
    edit: tuple[str, int, dict[str, Any], st.DataObject],
) -> None:
    kind, user, how, draw = edit
    generator = np.random.default_rng(3)
    clean = rows_of(generator.integers(1, 18, 12).tolist())
    own = np.flatnonzero(clean.user == user)
    chosen = np.array(sorted(draw.draw(st.sets(st.sampled_from(own.tolist()), min_size=1))))
    edited = apply(clean, Edits(kind, clean.id[chosen], np.full(len(chosen), 0 if kind == "deletion" else 500)))
    window_plan = plan_windows(clean, LENGTH, **how)
    before, after = fill(clean, window_plan), fill(edited, window_plan)
    owner = np.zeros(window_plan.count, int)
    owner[window_plan.of_row[clean.id]] = clean.user
    others = owner != user
    for name in ("inputs", "targets", "ids"):
        assert np.array_equal(
            getattr(before, name)[: window_plan.count][others], getattr(after, name)[: window_plan.count][others]
        )
    assert np.all(owner[after.slot_of_extra] == user)
    for epoch in range(2):
        old = batches(window_plan, before.slot_of_extra, 4, 9, epoch)
        new = batches(window_plan, after.slot_of_extra, 4, 9, epoch)
        for number, ((windows, _, width), (edited_windows, extra, same_width)) in enumerate(zip(old, new, strict=True)):
            assert torch.equal(windows, edited_windows[: len(windows)]) and width == same_width
            assert np.all(after.targets[edited_windows.numpy(), width:] == 0)  # nothing is cut off
            assert len(edited_windows) == len(windows) + extra
            words = ("pretrain", 9, epoch, number)
            masks = dropout_masks((3, len(windows), width, 2), 0, 0.5, words, torch.device("cpu"))
            with_extra = dropout_masks((3, len(windows) + extra, width, 2), extra, 0.5, words, torch.device("cpu"))
            assert torch.equal(masks, with_extra[:, : len(windows)])


def test_an_offset_makes_every_users_first_window_shorter_and_no_offset_changes_the_number_of_slots() -> None:
    rows = rows_of([8, 1, 2])
    windows = fill(rows, plan_windows(rows, LENGTH, offset=3))
    assert windows.targets.tolist() == [[2, 3, 0, 0, 0], [4, 5, 6, 7, 8], [0] * 5, [0] * 5, [11, 0, 0, 0, 0]]
    assert {plan_windows(rows, LENGTH, offset=offset).count for offset in range(LENGTH)} == {5}
    assert plan_windows(rows, LENGTH).count == 4


def test_slots_of_short_histories_are_as_wide_as_they_need_with_room_for_an_insertion() -> None:
    rows = rows_of([2, 4, 9, 10, 30])  # a target fewer each
    assert plan_windows(rows, 20, bucketed=True).width.tolist() == [3, 5, 10, 10, 20, 10]
    assert plan_windows(rows, 20, bucketed=False).width.tolist() == [20] * 6


def test_buckets_are_made_where_they_save_a_quarter_of_the_positions() -> None:
    def chosen(lengths: list[int]) -> bool:
        return len(set(plan_windows(rows_of(lengths), 20).width)) > 1

    assert chosen([21, 21, 9, 9])
    assert not chosen([21, 21, 21, 9, 9])  # a fifth


@given(st.lists(st.integers(1, 70), min_size=1, max_size=30), st.integers(1, 6))
def test_an_epochs_batches_hold_every_slot_once_are_of_one_width_each_and_of_the_same_shapes_for_every_seed(
    lengths: list[int], size: int
) -> None:
    window_plan = plan_windows(rows_of(lengths), 20, bucketed=True)
    width_Q, count_Q = window_plan.shapes(size)
    assert window_plan.batches(size) == len(width_Q)
    none = np.zeros(0, np.int64)
    orders = [batches(window_plan, none, size, seed, epoch) for seed, epoch in ((0, 0), (0, 1), (1, 0))]
    for dealt in orders:
        assert sorted(torch.cat([batch.window_B for batch in dealt]).tolist()) == list(range(window_plan.count))
        for batch, width, count in zip(dealt, width_Q, count_Q, strict=True):
            assert (batch.width, len(batch.window_B)) == (width, count)
            assert np.all(window_plan.width[batch.window_B.numpy()] == width)


def test_batches_have_the_same_number_of_positions_and_those_of_short_and_long_histories_alternate() -> None:
    window_plan = plan_windows(rows_of([21] * 12 + [4] * 48), 20, bucketed=True)
    width_Q, count_Q = window_plan.shapes(10)
    assert list(zip(width_Q.tolist(), count_Q.tolist(), strict=True)) == [(5, 16), (20, 4)] * 3
    assert window_plan.batches(10) == plan_windows(rows_of([21] * 12 + [4] * 48), 20, bucketed=False).batches(10)


def test_an_edit_moves_no_more_than_its_own_window_and_the_overflow() -> None:
    rows = rows_of([18])
    window_plan = plan_windows(rows, LENGTH)
    before, after = (
        fill(rows, window_plan),
        fill(apply(rows, Edits("deletion", np.array([13]), np.array([0]))), window_plan),
    )
    changed = [
        slot for slot in range(window_plan.count) if not np.array_equal(before.targets[slot], after.targets[slot])
    ]
    assert changed == [1]


def test_masks_scale_and_drop_at_their_rate() -> None:
    masks = dropout_masks((2, 50, 20, 16), 3, 0.2, ("pretrain", 0, 0, 0), torch.device("cpu"))
    assert set(masks.unique().tolist()) == {0.0, 1.25}
    assert abs((masks == 0).float().mean().item() - 0.2) < 0.01


def test_shifted_windows_differ_between_epochs_and_not_between_variants_of_a_seed() -> None:
    clean = random_dataset(users=24, items=40).training_rows()
    config = Pretrain.model_validate({"model": {"max_length": 6}, "shifted": True})
    epochs = [shifted(clean, clean, config, 0, epoch) for epoch in range(4)]
    assert len({windows.targets.tobytes() for windows in epochs}) > 1
    assert len({shifted(clean, clean, config, seed, 0).targets.tobytes() for seed in range(4)}) > 1
    assert np.array_equal(shifted(clean, clean, config, 0, 2).targets, epochs[2].targets)
    targets = clean.id[1:][clean.user[1:] == clean.user[:-1]]
    for windows in epochs:
        assert np.array_equal(np.sort(windows.ids[windows.ids >= 0]), targets)


def test_shifted_windows_have_no_buckets() -> None:
    with pytest.raises(ValueError, match="exclude each other"):
        Pretrain(shifted=True, bucketed=True)
