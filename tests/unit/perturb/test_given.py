"""Edit files: a run's own are applied again bit for bit, and what does not fit is one line."""

import io
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given as over
from hypothesis import settings
from hypothesis import strategies as st

from finest.errors import DataError
from finest.perturb import given
from finest.perturb.config import EditFile, Perturb
from finest.perturb.edits import EDITS_SCHEMA, apply, from_table
from finest.perturb.plan import plan
from tests.builders import random_dataset, written_dataset

DATA = random_dataset(users=40, items=30)
SMALL = written_dataset({"ann": "a b c | a", "bob": "b c | z"})
GOOD: dict[str, Any] = {
    "scenario": "s",
    "kind": "deletion",
    "row": 1,
    "user": "ann",
    "old_item": "b",
    "new_item": None,
    "new_timestamp": None,
}


def of(**keys: str) -> EditFile:
    return EditFile.model_validate({"file": "mine.parquet", **keys})


def content(*rows: dict[str, Any]) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(list(rows), EDITS_SCHEMA), sink)
    return sink.getvalue()


def written(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink)
    return sink.getvalue()


KINDS = ["deletion", "replacement", "insertion", "timestamp_jitter"]


@over(st.sampled_from([*KINDS, "several"]), st.floats(0.01, 0.3), st.integers(0, 9), st.randoms(use_true_random=False))
@settings(max_examples=40, deadline=None)
def test_a_runs_own_edits_are_applied_again_bit_for_bit(kind: str, share: float, seed: int, random: Any) -> None:
    drawn = {"edits": [{"kind": one} for one in KINDS]} if kind == "several" else {"kind": kind}
    scenarios = [{**drawn, "share": share, "seed": seed}, {"kind": "deletion", "seed": 77}]
    table, first = plan(DATA, Perturb.model_validate({"scenarios": scenarios}), seed=0)
    name = first.groups[0].variants[-2].name
    order = list(range(len(table)))
    random.shuffle(order)  # the order of a file's rows says nothing
    file = of(scenario=name)
    again, planned = plan(
        DATA,
        Perturb(scenarios=[file]),
        seed=3,
        files={file.name: given.read(written(table.take(order)), file)},
    )
    assert planned.groups[0].variants[-1].name == f"mine-{name}"
    assert planned.edit_files == {f"mine-{name}": ""}
    rows = DATA.training_rows()
    drawn_rows = apply(rows, from_table(table, DATA)[name])
    for column, values in vars(apply(rows, from_table(again, DATA)[file.name])).items():
        assert np.array_equal(values, getattr(drawn_rows, column))
    own = table.filter(pa.array([one == name for one in table.column("scenario").to_pylist()]))
    sort = [("kind", "ascending"), ("row", "ascending")]
    assert again.drop_columns(["scenario"]).sort_by(sort).equals(own.drop_columns(["scenario"]).sort_by(sort))


def test_a_file_of_an_earlier_version_has_no_times() -> None:
    table = pa.Table.from_pylist([GOOD], EDITS_SCHEMA).drop_columns(["new_timestamp"])
    (edits,) = given.edits(given.read(written(table), of()), of(), SMALL)
    assert (edits.kind, edits.row.tolist(), edits.timestamp) == ("deletion", [1], None)


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_a_time_may_be_one_of_any_unit(unit: str) -> None:
    table = pa.Table.from_pylist([{**GOOD, "kind": "timestamp_jitter"}], EDITS_SCHEMA)
    time = pa.array([1_700_000_000_000_000]).cast(pa.timestamp("us")).cast(pa.timestamp(unit))
    (edits,) = given.edits(given.read(written(table.set_column(6, "new_timestamp", time)), of()), of(), SMALL)
    assert edits.timestamp is not None and edits.timestamp.tolist() == [1_700_000_000_000_000]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([{"row": 9}], "row 9: the data set has rows 0 to 6"),
        ([{"row": -1}], "row -1: the data set has rows 0 to 6"),
        ([{"row": 3, "old_item": "a"}], "row 3 is held out, and nothing touches such rows"),
        ([{"user": "bob"}], "row 1 is of user 'ann', not of 'bob'"),
        ([{"old_item": "c"}], "row 1 holds item 'b', not 'c'"),
        ([{}, {}], "row 1 is edited twice"),
        ([{"kind": "swap"}], "kind swap: there is no such kind of edit"),
        ([{"new_item": "a"}], "row 1: a deletion has no new_item"),
        ([{"kind": "insertion"}], "row 1: a insertion needs a new_item"),
        ([{"kind": "insertion", "new_item": "z"}], "row 1: item 'z' is not in the catalogue"),
        ([{"kind": "insertion", "new_item": ""}], "row 1: item '' is not in the catalogue"),
        ([{"kind": "replacement", "new_item": "b"}], "row 1: the new item is the old one"),
        ([{"kind": "timestamp_jitter"}], "row 1: a timestamp_jitter needs a new_timestamp"),
        ([{"kind": "timestamp_jitter", "new_timestamp": 1}], "row 1: the new time is the old one"),
        ([{"kind": "timestamp_jitter", "new_timestamp": -1}], "row 1: -1 is no time from 1970 to 2200"),
        ([{"kind": "timestamp_jitter", "new_timestamp": 2**62}], "row 1: 4611686018427387904 is no time"),
        ([{"new_timestamp": 5}], "row 1: a deletion has no new_timestamp"),
        ([{"row": 7}, {"row": 8}, {"row": 9}], "row 7: the data set has rows 0 to 6 .and 2 more such rows.; the edits"),
    ],
)
def test_a_row_that_does_not_fit_the_data_is_one_line_that_names_it(rows: list[dict[str, Any]], said: str) -> None:
    table = given.read(content(*({**GOOD, **row} for row in rows)), of())
    with pytest.raises(DataError, match=f"mine.parquet: {said}") as raised:
        given.edits(table, of(), SMALL)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("file", "of_file", "said"),
    [
        (b"row,kind", {}, "cannot be read as Parquet"),
        (content(GOOD)[:-20], {}, "cannot be read as Parquet"),
        (content(GOOD).replace(b"ann", b"\xffnn"), {}, "cannot be read as Parquet"),
        (content(GOOD).replace(b"user", b"\xffser"), {}, "cannot be read as Parquet"),
        (written(pa.table({"row": [1]})), {}, "there is no column scenario, kind, user, old_item, new_item; an edit"),
        (
            written(pa.Table.from_pylist([{**GOOD, "extra": 1, "new_item": "a"}])),
            {},
            "there are columns that no edit table has: ext",
        ),
        (written(pa.Table.from_pylist([{**GOOD, "row": "one"}])), {}, "a column is of another type"),
        (written(pa.Table.from_pylist([{**GOOD, "row": 1.5}])), {}, "a column is of another type"),
        (written(pa.Table.from_pylist([{**GOOD, "user": None}])), {}, "column user has nulls"),
        (content(), {}, "it holds no edits"),
        (
            content(GOOD, {**GOOD, "scenario": "t"}),
            {},
            "it holds several scenarios; name one .scenario.; there are s, t",
        ),
        (content(GOOD), {"scenario": "x"}, "there is no scenario x; there are s"),
    ],
)
def test_a_file_that_is_no_edit_table_is_one_line(file: bytes, of_file: dict[str, str], said: str) -> None:
    with pytest.raises(DataError, match=f"mine.parquet: {said}"):
        given.read(file, of(**of_file))
