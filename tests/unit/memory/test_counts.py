"""What is counted is what a slow loop counts, whoever counts it and with however many threads."""

from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow.fs as pafs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finest.data.dataset import Rows
from finest.data.duck import DuckDB
from finest.memory.counts import FULL_WEIGHT, PARTNERS, STEPS, by_age, count
from finest.memory.tables import Counts


def rows_of(histories: list[list[int]]) -> Rows:
    user = np.repeat(np.arange(len(histories)), [len(history) for history in histories])
    id = np.arange(len(user))
    return Rows(user, np.array([item for history in histories for item in history], np.int64), id, id, id)


def counted(
    folder: Path, rows: Rows, items: int, neighbours: int, weight: np.ndarray | None = None, threads: int = 1
) -> Counts:
    folder.mkdir(exist_ok=True)
    with DuckDB(pafs.LocalFileSystem(), folder, threads=threads) as engine:
        return count(engine, rows, items, neighbours, 5.0, weight)


def slowly(histories: list[list[int]], items: int, neighbours: int) -> tuple[np.ndarray, np.ndarray]:
    steps, together, owners = np.zeros((items + 1, items + 1)), np.zeros((items + 1, items + 1)), Counter[int]()
    for history in histories:
        for place, item in enumerate(history):
            for distance, later in enumerate(history[place + 1 : place + 1 + STEPS], 1):
                steps[item, later] += 1 / distance
        last = list(dict.fromkeys(reversed(history)))[:PARTNERS]
        owners.update(last)
        for one in last:
            for other in last:
                together[one, other] += one != other
    follows = steps / (steps.sum(1, keepdims=True) + 5)
    size = np.array([owners[item] for item in range(items + 1)], float)
    cosine = together / np.sqrt(np.maximum(size[:, None] * size, 1))
    for table in (follows, cosine):
        for item in range(items + 1):
            order = np.lexsort((np.arange(items + 1), -table[item].round(12)))
            table[item, order[neighbours:]] = 0
    return follows, cosine


HISTORIES = st.lists(st.lists(st.integers(1, 7), min_size=1, max_size=14), min_size=1, max_size=6)


@settings(deadline=None, max_examples=20)  # each opens a database
@given(histories=HISTORIES, neighbours=st.integers(1, 8))
def test_counts_are_those_of_a_loop(
    tmp_path_factory: pytest.TempPathFactory, histories: list[list[int]], neighbours: int
) -> None:
    counts = counted(tmp_path_factory.mktemp("counts"), rows_of(histories), 7, neighbours)
    follows, cosine = slowly(histories, 7, neighbours)
    assert np.allclose(counts.follows.toarray(), follows, atol=1e-6)
    assert np.allclose(counts.alike.toarray(), cosine, atol=1e-6)
    assert counts.popularity[0] == 0 and np.isclose(counts.popularity.sum(), 1)
    assert np.isclose(counts.popularity[1] * (sum(map(len, histories)) + 7), 1 + sum(h.count(1) for h in histories))


def test_threads_and_the_order_of_users_change_no_bit(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    histories = [rng.integers(1, 60, rng.integers(1, 80)).tolist() for _ in range(200)]
    one = parts(counted(tmp_path / "a", rows_of(histories), 60, 9))
    for folder, threads, order in (("b", 4, 1), ("c", 2, -1)):
        other = counted(tmp_path / folder, rows_of(histories[::order]), 60, 9, threads=threads)
        assert all(map(np.array_equal, one, parts(other)))


def parts(counts: Counts) -> list[np.ndarray]:
    tables = [counts.follows, counts.alike]
    return [counts.popularity, *(part for table in tables for part in (table.data, table.indices, table.indptr))]


def test_older_rows_count_less(tmp_path: Path) -> None:
    rows = rows_of([[1, 2], [1, 3]])
    assert by_age(np.array([0.0, 7.0]), 7.0).tolist() == [FULL_WEIGHT, FULL_WEIGHT // 2]
    counts = counted(tmp_path, rows, 3, 9, weight=np.array([512, 512, 1024, 1024]))
    assert np.allclose(counts.follows.toarray()[1], [0, 0, 0.5 / 6.5, 1 / 6.5])
    assert counts.popularity[3] > counts.popularity[2]


def test_counts_come_back_from_a_file_as_they_were(tmp_path: Path) -> None:
    counts = counted(tmp_path / "work", rows_of([[1, 2, 3, 1], [3, 2]]), 4, 3)
    counts.save(tmp_path / "memory.safetensors")
    assert all(map(np.array_equal, parts(counts), parts(Counts.load(tmp_path / "memory.safetensors"))))
