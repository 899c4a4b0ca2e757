from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finest.data.dataset import Dataset
from finest.perturb.families import casper
from tests.builders import written_dataset


def random_data(seed: int, users: int, items: int, ties: bool = True) -> Dataset:
    """Users with histories of 1 to 12 items; timestamps rise within a user and repeat within and between users."""
    generator = np.random.default_rng(seed)
    histories, timestamps = {}, []
    for user in range(users):
        length = int(generator.integers(1, 13))
        words = [f"i{item}" for item in generator.integers(0, items, length)]
        histories[f"u{user}"] = " ".join(words[:-1]) + " | " + words[-1] if length > 1 else words[0]
        timestamps += np.sort(generator.integers(0, 8 if ties else 10**6, length)).tolist()
    return written_dataset(histories, timestamps=timestamps)


def by_search(data: Dataset, look_back: int) -> dict[int, int]:
    """Rows reachable from each start node, by breadth-first search over the published definition of the edges."""
    rows = np.flatnonzero(data.train).tolist()
    after: dict[int, set[int]] = {row: set() for row in rows}
    incoming: set[int] = set()
    groups: dict[tuple[str, int], list[int]] = {}
    for row in sorted(rows, key=lambda row: (data.timestamp[row], row)):
        groups.setdefault(("item", data.item[row]), []).append(row)
    for row in rows:
        groups.setdefault(("user", data.user[row]), []).append(row)
    for chain in groups.values():
        recent = chain[-(look_back - 1) :]
        for left, right in pairwise(recent):
            after[left].add(right)
            incoming.add(right)
    result = {}
    for start in rows:
        if start in incoming or not after[start]:
            continue
        reached, frontier = {start}, {start}
        while frontier:
            frontier = {to for of in frontier for to in after[of]} - reached
            reached |= frontier
        result[start] = len(reached) - 1
    return result


@given(st.integers(0, 2**32), st.integers(1, 25), st.integers(1, 30), st.sampled_from([2, 3, 5, 50]))
@settings(max_examples=60, deadline=None)
def test_counts_of_all_start_nodes_equal_a_breadth_first_search(
    seed: int, users: int, items: int, look_back: int
) -> None:
    data = random_data(seed, users, items)
    start, reached = casper.cascades(data, look_back)
    assert dict(zip(start.tolist(), reached.tolist(), strict=True)) == by_search(data, look_back)


def test_counts_do_not_depend_on_the_size_of_the_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    data = random_data(seed=5, users=400, items=300, ties=False)
    expected = casper.cascades(data, 4)
    assert len(expected[0]) > 128  # three words of bits
    monkeypatch.setattr(casper, "BLOCK_BYTES", 1)
    for whole, blocks in zip(expected, casper.cascades(data, 4), strict=True):
        assert np.array_equal(whole, blocks)


def test_an_item_passes_a_cascade_on_to_its_next_user() -> None:
    data = written_dataset({"ann": "a b", "bob": "b c", "eve": "z"}, timestamps=[0, 1, 2, 3, 4])
    start, reached = casper.cascades(data, 50)
    assert start.tolist() == [0]  # bob's b comes after ann's; eve's z stands alone
    assert reached.tolist() == [3]


def test_only_the_recent_rows_of_a_user_carry_edges() -> None:
    data = written_dataset({"ann": "a b c d e"})
    start, reached = casper.cascades(data, 4)
    assert (start.tolist(), reached.tolist()) == ([2], [2])


def test_held_out_rows_are_no_nodes() -> None:
    data = written_dataset({"ann": "a b | c d"})
    assert casper.cascades(data, 50)[1].tolist() == [1]
