from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finest.data.dataset import Rows
from finest.errors import DataError
from finest.perturb.edits import EDITS_SCHEMA, Edits, apply, from_table, to_table
from tests.builders import written_dataset

KINDS = ["deletion", "replacement", "insertion"]
NEW = 99


@st.composite
def clean(draw: st.DrawFn) -> Rows:
    """Training rows of a few users whose held-out rows leave gaps between the ids."""
    sizes = draw(st.lists(st.integers(1, 6), min_size=1, max_size=4))
    gap = draw(st.integers(0, 2))
    user = np.repeat(np.arange(len(sizes)), sizes)
    id = np.arange(len(user)) + gap * user
    return Rows(user, np.arange(len(user)) % 7 + 1, id, id, id)


@st.composite
def edits(draw: st.DrawFn, rows: Rows, kind: str | None = None) -> Edits:
    kind = kind or draw(st.sampled_from(KINDS))
    row = np.array(draw(st.lists(st.sampled_from(rows.id.tolist()), unique=True, max_size=len(rows))), dtype=np.int64)
    return Edits(kind, row, np.full(len(row), 0 if kind == "deletion" else NEW))


def tuples(rows: Rows) -> list[tuple[int, ...]]:
    return list(zip(*(column.tolist() for column in (rows.user, rows.item, rows.id, rows.anchor)), strict=True))


def one_by_one(rows: Rows, edits: Edits) -> list[tuple[int, ...]]:
    """What the edits say, a row at a time."""
    new = dict(zip(edits.row.tolist(), edits.item.tolist(), strict=True))
    result: list[tuple[int, ...]] = []
    for user, item, id, anchor in tuples(rows):
        if id < 0 or id not in new:
            result.append((user, item, id, anchor))
        elif edits.kind == "replacement":
            result.append((user, new[id], -1, anchor))
        elif edits.kind == "insertion":
            result += [(user, new[id], -1, anchor), (user, item, id, anchor)]
    return result


@given(st.data())
@settings(max_examples=100, deadline=None)
def test_an_edit_changes_what_it_says_and_nothing_else(data: st.DataObject) -> None:
    rows = data.draw(clean())
    of = data.draw(edits(rows))
    assert tuples(apply(rows, of)) == one_by_one(rows, of)


@given(st.data())
@settings(max_examples=100, deadline=None)
def test_edits_on_top_of_edits_meet_only_the_clean_rows_that_are_left(data: st.DataObject) -> None:
    rows = data.draw(clean())
    probe, simulated = data.draw(edits(rows)), data.draw(edits(rows))
    perturbed = apply(rows, probe)
    assert tuples(apply(perturbed, simulated)) == one_by_one(perturbed, simulated)


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_edits_that_remove_or_replace_do_nothing_when_applied_again(data: st.DataObject) -> None:
    rows = data.draw(clean())
    of = data.draw(edits(rows, data.draw(st.sampled_from(KINDS[:2]))))
    once = apply(rows, of)
    assert tuples(apply(once, of)) == tuples(once)


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_every_row_belongs_to_a_clean_row_of_its_own_user(data: st.DataObject) -> None:
    rows = data.draw(clean())
    edited = apply(apply(rows, data.draw(edits(rows))), data.draw(edits(rows)))
    owner = dict(zip(rows.id.tolist(), rows.user.tolist(), strict=True))
    assert [owner[anchor] for anchor in edited.anchor.tolist()] == edited.user.tolist()
    assert (np.diff(edited.anchor) >= 0).all()
    kept = edited.id >= 0
    assert np.array_equal(edited.id[kept], edited.anchor[kept])


@given(st.data())
@settings(max_examples=40, deadline=None)
def test_the_rows_given_and_the_order_of_the_edits_do_not_matter_to_each_other(data: st.DataObject) -> None:
    rows = data.draw(clean())
    of = data.draw(edits(rows))
    before = tuples(rows)
    order = np.random.default_rng(0).permutation(len(of))
    assert tuples(apply(rows, Edits(of.kind, of.row[order], of.item[order]))) == tuples(apply(rows, of))
    assert tuples(rows) == before


def test_all_rows_can_be_deleted() -> None:
    rows = written_dataset({"ann": "a b", "bob": "a"}).training_rows()
    nothing = apply(rows, Edits("deletion", rows.id, rows.id * 0))
    assert len(nothing) == 0
    assert len(apply(nothing, Edits("insertion", rows.id, rows.id + 1))) == 0


def test_the_table_survives_parquet_bit_for_bit_and_gives_the_same_edits(tmp_path: Path) -> None:
    data = written_dataset({"007": "NA 12 x | 12", "eve": "x NA | new"})
    made = {
        "first": Edits("replacement", np.array([2, 0]), np.array([1, 2])),
        "second": Edits("deletion", np.array([4]), np.array([0])),
    }
    table = to_table(made, data)
    pq.write_table(table, tmp_path / "edits.parquet")
    back = pq.read_table(tmp_path / "edits.parquet")
    assert back.equals(table)
    assert back.schema.equals(EDITS_SCHEMA)
    assert back.to_pylist() == [
        {"scenario": "first", "kind": "replacement", "row": 0, "user": "007", "old_item": "NA", "new_item": "NA"},
        {"scenario": "first", "kind": "replacement", "row": 2, "user": "007", "old_item": "x", "new_item": "12"},
        {"scenario": "second", "kind": "deletion", "row": 4, "user": "eve", "old_item": "x", "new_item": None},
    ]
    again = from_table(back, data)
    assert list(again) == ["first", "second"]
    for name, of in again.items():
        assert tuples(apply(data.training_rows(), of)) == tuples(apply(data.training_rows(), made[name]))
        assert to_table({name: of}, data).equals(to_table({name: made[name]}, data))


@pytest.mark.parametrize("other", [{"ann": "b a | c"}, {"ann": "a"}])
def test_edits_planned_for_other_data_are_refused(other: dict[str, str]) -> None:
    table = to_table({"s": Edits("deletion", np.array([1]), np.array([0]))}, written_dataset({"ann": "a b | c"}))
    with pytest.raises(DataError, match="row 1 of the data set does not hold item 'b'"):
        from_table(table, written_dataset(other))
