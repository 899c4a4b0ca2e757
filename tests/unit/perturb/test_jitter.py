import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finest.data.dataset import Dataset, Rows
from finest.errors import DataError
from finest.perturb.config import Scenario
from finest.perturb.edits import Edits, apply, draw
from finest.perturb.kinds import HOUR
from finest.training.simulate import simulate
from finest.training.windows import fill, plan_windows
from tests.builders import written_dataset

FAR = {"name": "timestamp_jitter", "max_shift_hours": 8784}


def hourly(users: int, gap: int = HOUR) -> Dataset:
    """Users of 3 to 12 training rows an hour apart and one held-out row, which is at the end of time."""
    sizes = [3 + user % 10 for user in range(users)]
    times = [[place * gap for place in range(size)] + [10**15] for size in sizes]
    return written_dataset(
        {
            f"u{user}": " ".join(f"i{(user + place) % 9}" for place in range(size)) + " | i1"
            for user, size in enumerate(sizes)
        },
        timestamps=[time for of in times for time in of],
    )


def rows_as(rows: Rows) -> list[tuple[int, ...]]:
    return list(zip(*(column.tolist() for column in vars(rows).values()), strict=True))


@given(st.integers(1, 12), st.floats(1e-6, 100), st.integers(0, 50), st.floats(0.001, 0.5))
@settings(max_examples=60, deadline=None)
def test_a_shift_is_within_its_bound_and_never_none(users: int, hours: float, seed: int, share: float) -> None:
    data = hourly(users)
    kind = {"name": "timestamp_jitter", "max_shift_hours": hours}
    (edits,) = draw(data, Scenario(kind=kind, seed=seed, share=share))
    assert len(edits) == max(1, round(share * data.train.sum()))
    assert data.train[edits.row].all() and not edits.item.any()
    assert edits.timestamp is not None
    shift = np.abs(edits.timestamp - data.timestamp[edits.row])
    assert (shift > 0).all() and (shift <= max(1, round(hours * HOUR))).all()
    trained = data.timestamp[data.train]
    assert (edits.timestamp >= trained.min()).all() and (edits.timestamp <= trained.max()).all()


@given(st.integers(1, 12), st.integers(0, 50), st.floats(0.01, 0.5))
@settings(max_examples=60, deadline=None)
def test_rows_stand_in_order_of_time_and_are_the_same_ones(users: int, seed: int, share: float) -> None:
    data = hourly(users)
    clean = data.training_rows()
    edits = draw(data, Scenario(kind=FAR, seed=seed, share=share))
    after = apply(clean, edits)
    assert np.array_equal(after.user, clean.user) and np.array_equal(after.anchor, clean.anchor)
    assert np.array_equal(after.item, data.item[after.id]) and sorted(after.id) == clean.id.tolist()
    assert np.array_equal(data.user[after.id], after.user)
    for user in range(users):
        mine = after.user == user
        assert (np.diff(after.timestamp[mine]) >= 0).all()
        unmoved = after.id[mine & ~np.isin(after.id, edits[0].row)]
        assert (np.diff(unmoved) > 0).all()
    assert rows_as(apply(after, edits)) == rows_as(after)


def test_a_shift_that_changes_no_order_changes_the_time_alone() -> None:
    data = hourly(1)
    clean = data.training_rows()
    after = apply(clean, [Edits("timestamp_jitter", np.array([1]), np.array([0]), np.array([HOUR + 7]))])
    assert after.timestamp.tolist() == [0, HOUR + 7, 2 * HOUR]
    assert np.array_equal(after.id, clean.id) and np.array_equal(after.item, clean.item)
    assert clean.timestamp[1] == HOUR  # what is given stays


@given(st.integers(1, 12), st.integers(0, 20), st.integers(2, 6))
@settings(max_examples=40, deadline=None)
def test_windows_keep_their_number_of_rows_whatever_moves(users: int, seed: int, length: int) -> None:
    data = hourly(users)
    clean = data.training_rows()
    window_plan = plan_windows(clean, length)
    before = fill(clean, window_plan)
    after = fill(apply(clean, draw(data, Scenario(kind=FAR, seed=seed, share=0.4))), window_plan)
    assert np.array_equal(before.targets > 0, after.targets > 0)
    assert not len(after.slot_of_extra)
    assert (after.inputs > 0).sum() == (before.inputs > 0).sum()


@given(st.integers(1, 12), st.integers(0, 20))
@settings(max_examples=40, deadline=None)
def test_simulated_edits_find_rows_that_have_moved(users: int, seed: int) -> None:
    data = hourly(users)
    clean = data.training_rows()
    moved = apply(clean, draw(data, Scenario(kind=FAR, seed=seed, share=0.4)))
    for epoch in range(3):
        on_clean, on_moved = (simulate(rows, clean, data.item_counts, 0.2, seed, epoch) for rows in (clean, moved))
        assert sorted(on_clean.id[on_clean.id >= 0]) == sorted(on_moved.id[on_moved.id >= 0])
        assert sorted(on_clean.item.tolist()) == sorted(on_moved.item.tolist())
        assert (np.diff(on_moved.anchor) >= 0).all()
        fill(on_moved, plan_windows(clean, 4))


def test_rows_of_one_time_have_nowhere_to_go() -> None:
    data = written_dataset({"ann": "a b c", "bob": "a b"}, timestamps=[5] * 5)
    with pytest.raises(DataError, match="all training rows have one time: there is nothing to shift"):
        draw(data, Scenario(kind="timestamp_jitter"))
