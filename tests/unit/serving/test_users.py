from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from finest.errors import DataError
from finest.serving.users import Users, everybody, of_file
from tests.builders import stored, written_dataset

ANN_TO_DAN = dict.fromkeys(("ann", "bob", "cid", "dan"), "a b | c")


def asked(file: Path, folder: Path) -> Users:
    return of_file(file, stored(written_dataset(ANN_TO_DAN), folder / "data"), folder)


@pytest.mark.parametrize("name", ["users.txt", "users.csv", "users.parquet", "users"])
def test_a_file_names_each_user_once_in_any_order(name: str, tmp_path: Path) -> None:
    names = ["dan", "zoe", "", "bob", "eve", "dan", "zoe"]
    if name.endswith(".parquet"):
        pq.write_table(pa.table({"user_id": names, "x": names}), tmp_path / name)
    else:
        head = ["x,user_id"] if name.endswith(".csv") else []
        comma = "1," if head else ""
        (tmp_path / name).write_text("\n".join([*head, *(f"{comma}{one}" for one in names)]) + "\n")
    found = asked(tmp_path / name, tmp_path)
    assert found.known.tolist() == [1, 3] and found.unknown.to_pylist() == ["eve", "zoe"]
    (tmp_path / "sorted.txt").write_text("bob\ndan\neve\nzoe")
    assert asked(tmp_path / "sorted.txt", tmp_path).digest == found.digest != ""


def test_ids_that_are_numbers_are_the_text_that_stands_there(tmp_path: Path) -> None:
    (tmp_path / "users.csv").write_text("user_id\n007\n7\n")
    data = stored(written_dataset({"007": "a b | c", "7": "a b | c", "8": "a b | c"}), tmp_path / "data")
    assert of_file(tmp_path / "users.csv", data, tmp_path).known.tolist() == [0, 1]
    pq.write_table(pa.table({"user_id": [7, 9]}), tmp_path / "users.parquet")
    found = of_file(tmp_path / "users.parquet", data, tmp_path)
    assert found.known.tolist() == [1] and found.unknown.to_pylist() == ["9"]


def test_another_choice_has_another_digest(tmp_path: Path) -> None:
    digests = set()
    for text in ("ann", "bob", "ann\nbob", "ann\nzoe", "zoe", "eve", "ev\ne"):
        (tmp_path / "users.txt").write_text(text)
        digests.add(asked(tmp_path / "users.txt", tmp_path).digest)
    assert len(digests) == 7


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("users.parquet", b"PAR1", "not a file of users"),
        ("users.csv", b"id\nann\n", "the column user_id"),
        ("users.csv", b"", "not a file of users"),
        ("users.txt", b"\xff\xfe", "not a file of users"),
        ("users.txt", b"\n\n", "names no user"),
    ],
)
def test_what_is_no_file_of_users_is_one_line(name: str, content: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=said) as error:
        asked(tmp_path / name, tmp_path)
    assert "\n" not in str(error.value)
    with pytest.raises(DataError, match="there is no such file"):
        asked(tmp_path / "gone.csv", tmp_path)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 9, 20])
def test_parts_have_everybody_once(size: int) -> None:
    users = Users(np.arange(0, 12, 2, dtype=np.int32), pa.array(["x", "y", "z"]))
    parts = [users.part(number, size) for number in range(-(-len(users) // size))]
    assert [len(part) for part in parts[:-1]] == [size] * (len(parts) - 1) and 0 < len(parts[-1]) <= size
    assert np.concatenate([part.known for part in parts]).tolist() == users.known.tolist()
    assert [one for part in parts for one in part.unknown.to_pylist()] == ["x", "y", "z"]
    assert everybody(3).known.tolist() == [0, 1, 2] and everybody(3).digest == ""
