from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from finest.data import schema
from finest.data.dataset import Dataset
from finest.serving import histories as streamed
from finest.serving.histories import histories, ids
from tests.builders import random_dataset, stored, written_dataset


def read(data: Dataset, folder: Path, users: list[int], items: list[str]) -> list[list[str]]:
    """The users' histories, as they come, in the words of the model's catalogue."""
    found = []
    for some in histories(stored(data, folder), np.array(users, np.int32), pa.array(items, pa.string())):
        found += [
            [items[code - 1] for code in some.item[a:b]] for a, b in zip(some.start, some.start[1:], strict=False)
        ]
    return found


def test_a_history_is_all_that_is_known_and_the_model_knows(tmp_path: Path) -> None:
    data = written_dataset({"ann": "a b | c", "bob": "x | x", "cid": "b | new a"})
    assert read(data, tmp_path, [0, 1, 2], ["c", "b", "a"]) == [["a", "b", "c"], [], ["b", "a"]]


@pytest.mark.parametrize("rows", [1, 2, 7, 1000])
@pytest.mark.parametrize("users", [range(40), [0], [39], [3, 4, 5, 17, 38], []])
def test_every_user_comes_once_wherever_a_read_ends(
    rows: int, users: range | list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streamed, "ROWS", rows)
    data = random_dataset(users=40)
    expected = [data.target_ids[data.user == user].tolist() for user in users]
    assert read(data, tmp_path, [*users], data.item_ids[1:].tolist()) == expected


def test_only_row_groups_with_users_that_are_asked_for_are_read(tmp_path: Path) -> None:
    folder = stored(random_dataset(users=40), tmp_path)
    rows = pq.read_table(folder / schema.INTERACTIONS)
    pq.write_table(rows, folder / schema.INTERACTIONS, row_group_size=50)
    codes = rows["user_code"].to_numpy()
    with pq.ParquetFile(folder / schema.INTERACTIONS) as file:
        for user in (0, 20, 39):
            groups = streamed._groups(file, np.array([user], np.int32))
            assert groups == sorted(set(np.flatnonzero(codes == user) // 50))


def test_ids_are_those_of_the_codes_over_all_row_groups(tmp_path: Path) -> None:
    data = random_dataset(users=40)
    folder = stored(data, tmp_path)
    pq.write_table(pq.read_table(folder / schema.USERS), folder / schema.USERS, row_group_size=7)
    for users in ([0, 6, 7, 39], [], [13], [*range(40)]):
        assert ids(folder, np.array(users, np.int32)).to_pylist() == data.user_ids[users].tolist()
