import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from finest.errors import DataError
from finest.ranklists import file
from finest.ranklists.schema import METADATA_KEY, RANK_LISTS_SCHEMA, Catalogue, Description, RankLists

DESCRIPTION = Description(
    catalogue=Catalogue(items=5, digest="of five"),
    model="sasrec",
    role="probe",
    stage="tuned",
    scenario="random-deletion-0.001-s0",
    depth=3,
    exclude_seen=True,
    seed=7,
    protocol="anchored",
    reference="base",
    extra={"note": "kept"},
)


def example(after_cut: np.ndarray | None = None) -> RankLists:
    return RankLists(
        user=np.array(["007", "NA", "NA"], dtype=object),
        position=np.array([4, 9, 10]),
        target=np.array(["x", "new", "y"], dtype=object),
        target_rank=np.array([1.0, np.nan, 2.5]),
        items=np.array([[1, 2, 3], [4, -1, -1], [-1, -1, -1]]),
        scores=np.array([[3, 2.5, -1], [0.1, np.nan, np.nan], [np.nan] * 3], dtype=np.float32),
        vocabulary=np.array(["", "x", "y", "z", "12"], dtype=object),
        description=DESCRIPTION,
        after_cut=after_cut,
    )


def ids(lists: RankLists) -> list[list[str]]:
    return [[lists.vocabulary[code] for code in row if code >= 0] for row in lists.items]


def foreign(path: Path, metadata: object = None, **columns: Any) -> Path:
    """A file as another program writes it, with plain Arrow types.

    `columns` take the place of the right ones; None leaves one out.
    """
    rows: dict[str, Any] = {
        "user": ["ann", "bob"],
        "position": [3, 5],
        "target": ["x", "y"],
        "target_rank": [1.0, None],
        "items": [["x", "y"], ["z", "x"]],
        "scores": [[2.0, 1.0], [0.5, 0.1]],
    } | columns
    if metadata is None:
        metadata = {
            "catalogue": {"items": 3, "digest": "mine"},
            "model": "mine",
            "role": "clean",
            "stage": "base",
            "depth": 2,
            "exclude_seen": False,
        }
    table = pa.table({name: values for name, values in rows.items() if values is not None})
    text = metadata if isinstance(metadata, bytes) else json.dumps(metadata).encode()
    pq.write_table(table.replace_schema_metadata({METADATA_KEY: text} if text else {}), path)
    return path


@pytest.mark.parametrize("after_cut", [None, np.array([True, False, True])])
def test_lists_come_back_as_they_were_written(tmp_path: Path, after_cut: np.ndarray | None) -> None:
    written = example(after_cut)
    file.write(written, tmp_path / "deep" / "lists.parquet")
    read = file.read(tmp_path / "deep" / "lists.parquet")
    assert read.description == DESCRIPTION
    assert ids(read) == ids(written) == [["x", "y", "z"], ["12"], []]
    for name in ("user", "position", "target", "target_rank", "scores", "after_cut"):
        np.testing.assert_array_equal(getattr(read, name), getattr(written, name))
    assert [path.name for path in tmp_path.rglob("*.par*")] == ["lists.parquet"]


def test_a_written_file_has_the_agreed_schema(tmp_path: Path) -> None:
    file.write(example(), tmp_path / "lists.parquet")
    schema = pq.read_schema(tmp_path / "lists.parquet")
    assert schema.names == RANK_LISTS_SCHEMA.names
    for field in RANK_LISTS_SCHEMA:
        assert schema.field(field.name).type.equals(field.type), field.name


def test_many_batches_read_like_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write(example(), tmp_path / "whole.parquet")
    monkeypatch.setattr(file, "BATCH", 1)
    file.write(example(), tmp_path / "parts.parquet")
    whole, parts = (file.read(tmp_path / name) for name in ("whole.parquet", "parts.parquet"))
    assert ids(parts) == ids(whole)
    np.testing.assert_array_equal(parts.target_rank, whole.target_rank)


def test_an_item_of_a_list_takes_four_bytes_and_what_is_wide_enough_is_not_copied(tmp_path: Path) -> None:
    file.write(example(), tmp_path / "lists.parquet")
    items = file.read(tmp_path / "lists.parquet").items
    assert items.nbytes == 4 * items.size and file.widened(items, 3) is items


def test_codes_agree_across_files_read_with_one_vocabulary(tmp_path: Path) -> None:
    first = foreign(tmp_path / "first.parquet")
    second = foreign(tmp_path / "second.parquet", items=[["new", "z"], ["z", "new"]], target=["new", "y"])
    vocabulary: dict[str, int] = {}
    one, two = file.read(first, vocabulary), file.read(second, vocabulary)
    assert one.items.tolist() == [[0, 1], [2, 0]]
    assert two.items.tolist() == [[3, 2], [2, 3]]
    assert two.vocabulary.tolist() == ["x", "y", "z", "new"]


@pytest.mark.parametrize(
    "columns",
    [
        {
            "user": pa.array(["ann", "bob"], pa.large_string()),
            "items": pa.array([["x", "y"], ["z", "x"]], pa.large_list(pa.large_string())),
        },
        {"user": pa.array(["ann", "bob"]).dictionary_encode(), "target": pa.array(["x", "y"]).dictionary_encode()},
        {"items": pa.array([["x", "y"], ["z", "x"]], pa.list_(pa.dictionary(pa.int32(), pa.string())))},
        {
            "position": pa.array([3, 5], pa.uint8()),
            "scores": pa.array([[2.0, 1.0], [0.5, 0.1]], pa.list_(pa.float32())),
        },
        {"position": pa.array([3, 5], pa.int64()), "scores": pa.array([[2, 1], [1, 0]], pa.list_(pa.int64()))},
        {"target_rank": pa.array([1, None], pa.int32())},
        {"target_rank": pa.nulls(2), "target": ["unknown", "y"]},
        {"target_rank": pa.array([1.0, float("nan")])},
        {"items": pa.array([["x", "y"], ["z", "x"]], pa.list_(pa.string(), 2)), "scores": [[2.0, 1.0], [0.5, 0.1]]},
        {"another column": [1, 2]},
    ],
)
def test_any_arrow_type_of_the_right_kind_is_read(tmp_path: Path, columns: dict[str, Any]) -> None:
    lists = file.read(foreign(tmp_path / "lists.parquet", **columns))
    assert ids(lists)[0] == ["x", "y"]
    assert lists.user.tolist() == ["ann", "bob"]
    assert lists.position.tolist() == [3, 5]
    assert lists.target_rank.dtype == np.float64
    assert np.isnan(lists.target_rank[1])
    assert lists.scores.dtype == np.float32


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"target_rank": None}, "column target_rank is missing; a rank-list file has user, position"),
        ({"user": [1, 2]}, "column user has type int64, text needed"),
        ({"user": ["ann", None]}, "column user has nulls"),
        ({"position": [3.5, 5.0]}, "column position has type double, integers needed"),
        ({"target_rank": ["1", "2"]}, "column target_rank has type string, numbers needed"),
        ({"target_rank": [0.0, 1.0]}, 'user "ann", position 3: target_rank 0; ranks start at 1'),
        ({"items": ["x", "y"]}, "column items has type string, a list is needed"),
        ({"items": [[1, 2], [3, 1]]}, "column items has type int64, text needed"),
        ({"items": [["x", "y"], None]}, "column items has nulls"),
        ({"items": [["x", "y"], ["z", None]]}, "column items has nulls"),
        ({"items": [["x", "y"], ["z"]]}, 'user "bob", position 5: items and scores differ in length'),
        (
            {"items": [["x", "y"], ["z", "z"]], "scores": [[2.0, 1.0], [0.5, 0.5]]},
            'user "bob", position 5: the list holds an item twice',
        ),
        (
            {"items": [["x"], ["z", "y", "x"]], "scores": [[2.0], [3.0, 2.0, 1.0]]},
            "list of 3 items, but the metadata's depth is 2",
        ),
        ({"user": ["ann", "ann"], "position": [3, 3]}, 'user "ann", position 3: there twice'),
        (
            {name: pa.array([], pa.string()) for name in ("user", "target")}
            | {name: pa.array([], pa.int64()) for name in ("position", "target_rank", "items", "scores")},
            "holds no instance",
        ),
        ({"after_cut": [1, 0]}, "column after_cut has type int64, true or false needed"),
    ],
)
def test_a_file_that_breaks_the_contract_is_refused_in_one_line_saying_where(
    tmp_path: Path, columns: dict[str, Any], message: str
) -> None:
    path = foreign(tmp_path / "lists.parquet", **columns)
    with pytest.raises(DataError) as error:
        file.read(path)
    assert str(error.value).startswith(f"{path}: ")
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        (b"", "not a rank-list file (its schema's metadata has no 'rank_lists')"),
        (b"{", "metadata 'rank_lists': Invalid JSON"),
        ({"model": "mine"}, "metadata 'rank_lists': catalogue: is missing"),
        (
            {**json.loads(DESCRIPTION.model_dump_json()), "role": "boss"},
            "metadata 'rank_lists': role: must be 'clean'",
        ),
        (
            {**json.loads(DESCRIPTION.model_dump_json()), "depht": 3},
            "metadata 'rank_lists': depht: Extra inputs are not permitted",
        ),
        ({**json.loads(DESCRIPTION.model_dump_json()), "depth": 0}, "depth: must be at least 1, is 0"),
    ],
)
def test_metadata_that_does_not_describe_the_lists_is_refused(tmp_path: Path, metadata: object, message: str) -> None:
    path = foreign(tmp_path / "lists.parquet", metadata)
    with pytest.raises(DataError) as error:
        file.read(path)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_file_that_is_no_parquet_or_damaged_or_not_there_is_refused(tmp_path: Path) -> None:
    (tmp_path / "lists.parquet").write_text("user,position\n")
    with pytest.raises(DataError, match=r"lists.parquet: cannot be read as Parquet"):
        file.read(tmp_path / "lists.parquet")
    file.write(example(), tmp_path / "lists.parquet")
    damaged = bytearray((tmp_path / "lists.parquet").read_bytes())
    damaged[4:60] = bytes(56)
    (tmp_path / "lists.parquet").write_bytes(damaged)
    with pytest.raises(DataError, match=r"lists.parquet: cannot be read as Parquet"):
        file.read(tmp_path / "lists.parquet")
    with pytest.raises(DataError, match=r"none.parquet: there is no such file"):
        file.read(tmp_path / "none.parquet")


def test_a_column_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    file.write(example(), tmp_path / "lists.parquet")
    table = pq.read_table(tmp_path / "lists.parquet")
    pq.write_table(table.append_column("target", table["target"]), tmp_path / "lists.parquet")
    with pytest.raises(DataError, match=r"lists.parquet: column target is there 2 times; keep one$"):
        file.read(tmp_path / "lists.parquet")


def test_nothing_is_left_behind_where_writing_fails(tmp_path: Path) -> None:
    broken = example()
    broken.items[0, 0] = 99  # no such code
    with pytest.raises(pa.ArrowIndexError):
        file.write(broken, tmp_path / "lists.parquet")
    assert list(tmp_path.iterdir()) == []
