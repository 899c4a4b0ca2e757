"""The order inside a tie teaches nothing: neither what followed an item before, of all users nor of this one, gains."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from finest.data import dataset
from finest.data.config import Ingest
from finest.data.dataset import Dataset, Ints
from finest.data.ingest import ingest
from finest.errors import FinestError
from storage import demo_data, resolve


def markov_mrr(user: Ints, item: Ints, train: NDArray[np.bool_]) -> float:
    """MRR of ranking held-out items by how often they followed the item before them in training rows.

    Ties have their mean rank.
    """
    counts = np.zeros((item.max() + 1, item.max() + 1))
    follows = user[1:] == user[:-1]
    pairs = follows & train[1:] & train[:-1]
    np.add.at(counts, (item[:-1][pairs], item[1:][pairs]), 1)
    tests = np.flatnonzero(follows & ~train[1:])
    rows, target = counts[item[tests]], counts[item[tests], item[tests + 1]][:, None]
    rank = 1 + (rows > target).sum(1) + ((rows == target).sum(1) - 1) / 2
    return float((1 / rank).mean())


Mrr = Callable[[Ints, Ints, NDArray[np.bool_]], float]


def own_mrr(user: Ints, item: Ints, train: NDArray[np.bool_]) -> float:
    """MRR of ranking held-out items by how often they followed the item before them in this very history.

    Ties have their mean rank.
    """
    ranks = []
    for end in np.flatnonzero(~train & np.append(False, user[1:] == user[:-1])):
        begin = np.searchsorted(user, user[end])
        followed = item[begin + 1 : end][item[begin : end - 1] == item[end - 1]]
        counts = np.bincount(followed, minlength=item.max() + 1)[1:]
        own = counts[item[end] - 1]
        ranks.append((counts > own).sum() + ((counts == own).sum() + 1) / 2)
    return float((1 / np.array(ranks)).mean())


def with_ties(data: Dataset, key: NDArray[Any], mrr: Mrr = markov_mrr) -> float:
    """A baseline's MRR where rows of one user and time are in the order of `key`, cut at the same positions."""
    order = np.lexsort((key, data.timestamp, data.user))
    return mrr(data.user, data.item[order], data.train)


def generated(folder: Path) -> Dataset:
    """Sessions of one timestamp, of items drawn without regard to each other, in a file that is sorted by item."""
    rng = np.random.default_rng(0)
    rows = [
        (f"u{user}", f"i{item:03}", session)
        for user in range(400)
        for session in range(5)
        for item in rng.integers(0, 120, 6)
    ]
    return ingested(folder, rows)


def baskets(folder: Path) -> Dataset:
    """Users who put nearly the same eight items into every basket, in a file that is sorted by item."""
    rng = np.random.default_rng(0)
    rows = []
    for user in range(300):
        staples = rng.choice(120, 8, replace=False)
        rows += [
            (f"u{user}", f"i{item:03}", basket) for basket in range(8) for item in rng.choice(staples, 7, replace=False)
        ]
    return ingested(folder, rows)


def ingested(folder: Path, rows: list[tuple[str, str, int]]) -> Dataset:
    file = folder / "a.csv"
    lines = [f"{user},{item},{time}\n" for user, item, time in sorted(rows, key=lambda row: row[1])]
    file.write_text("user_id,item_id,timestamp\n" + "".join(lines))
    config = Ingest.model_validate({"evaluation": {"depth": 10, "exclude_seen": False}})
    source = resolve(str(file))
    ingest(source.filesystem, source.files, config, folder / "out")
    return dataset.load(folder / "out")


def ml_100k(folder: Path) -> Dataset:
    try:
        source = resolve(str(demo_data.fetch("ml-100k")))
    except FinestError as error:
        pytest.skip(str(error))
    manifest = ingest(source.filesystem, source.files, Ingest(), folder / "out")
    assert (manifest.interactions, manifest.users, manifest.quarantined_rows, manifest.users_cut_inside_a_tie) == (
        100_000,
        943,
        0,
        482,
    )
    # changes only with a reason
    assert manifest.fingerprint == "18bb2762f3db0047207f95c680b0ca9e005208c64fffc6ade6b94e9719a06a76"
    return dataset.load(folder / "out")


@pytest.mark.parametrize("source", [generated, ml_100k])
def test_a_markov_model_gains_nothing_from_our_ties(source: Callable[[Path], Dataset], tmp_path: Path) -> None:
    data = source(tmp_path)
    ours = markov_mrr(data.user, data.item, data.train)
    rng = np.random.default_rng(1)
    random = np.array([with_ties(data, rng.random(len(data.user))) for _ in range(8)])
    by_item = with_ties(data, data.item)
    print(
        f"{source.__name__}: ours {ours:.4f}, random {random.mean():.4f} +- {random.std():.4f}, by item {by_item:.4f}"
    )
    assert abs(ours - random.mean()) < 3 * random.std() + 0.01 * random.mean()
    assert by_item > 1.15 * ours


def test_what_followed_an_item_in_a_users_earlier_baskets_does_not_tell_what_follows_it_in_this_one(
    tmp_path: Path,
) -> None:
    data = baskets(tmp_path)
    rng = np.random.default_rng(1)
    for mrr in (markov_mrr, own_mrr):
        ours = mrr(data.user, data.item, data.train)
        random = np.array([with_ties(data, rng.random(len(data.user)), mrr) for _ in range(8)])
        by_item = with_ties(data, data.item, mrr)
        print(f"{mrr.__name__}: ours {ours:.4f}, random {random.mean():.4f} by {random.std():.4f}, item {by_item:.4f}")
        assert abs(ours - random.mean()) < 3 * random.std() + 0.01 * random.mean()
        assert by_item > 1.5 * ours
