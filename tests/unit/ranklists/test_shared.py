"""Whether data is a line's own: another shop's is refused, whatever its ids; the line's next nights are not."""

import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from components.champion.work import check
from components.promote.config import Promote
from finest.data.dataset import Dataset
from finest.errors import DataError
from finest.models.folder import ITEMS
from finest.ranklists.champion import write_cut
from finest.ranklists.shared import Shared, shared
from tests.builders import stored, written_dataset
from tracking.registry import Version

DAY = 86_400_000_000
CHAMPION = Version(
    "shop", "3", ("champion",), "pass", "", "", "", None, None, None, datetime.now(UTC), "", source="s3://bucket/de"
)


def shop(seed: int, users: int = 200, items: int = 80, prefix: str = "", first_day: int = 0, days: int = 28) -> Dataset:
    """Users with numbers for ids who buy a few things at random times of so many days; `prefix` makes other ids."""
    random = np.random.default_rng(seed)
    moments = np.sort(random.integers(0, 56 * DAY, (users, 40)))
    bought = random.integers(0, items, (users, 40))
    within = (moments >= first_day * DAY) & (moments < (first_day + days) * DAY)
    histories, times = {}, []
    for user in range(users):
        there = [f"{prefix}{item}" for item in bought[user][within[user]]]
        if len(there) > 1:
            histories[f"{prefix}{user}"] = f"{' '.join(there[:-1])} | {there[-1]}"
            times += moments[user][within[user]].tolist()
    return written_dataset(histories, timestamps=times)


@pytest.fixture
def champion(tmp_path: Path) -> Path:
    """What a package says of the first four weeks of shop 0."""
    data = shop(0)
    (tmp_path / ITEMS).write_text(json.dumps(data.item_ids[1:].tolist()))
    write_cut(data, tmp_path)
    return tmp_path


def found_in(model: Path, data: Dataset) -> Shared:
    return shared(model, stored(data, model / "tonight"))


def judged(model: Path, data: Dataset, **config: float) -> None:
    check(found_in(model, data), Promote(**config), CHAMPION)


@pytest.mark.parametrize("first_day", [0, 1, 7, 21])
def test_the_next_nights_of_a_line_are_its_own(champion: Path, first_day: int) -> None:
    tonight = shop(0, first_day=first_day)
    judged(champion, tonight)
    found = found_in(champion, tonight)
    assert found.moments.of > 20 and found.moments.value > 0.8 and found.items.value == 1


def test_a_line_that_was_away_for_longer_than_its_window_is_known_by_its_ids(champion: Path) -> None:
    later = shop(0, first_day=28)
    assert found_in(champion, later).moments.of == 0
    judged(champion, later)


def test_a_shop_that_has_no_id_in_common_is_refused_in_one_line(champion: Path) -> None:
    with pytest.raises(DataError) as refused:
        judged(champion, shop(1, prefix="x"))
    said = str(refused.value)
    assert said.startswith(
        "this is not the data of the line shop: its champion, version 3, was trained on s3://bucket/de and shares only "
        "0 of its 80 items (0.0%; promote.min_shared_items: 0.5) and 0 of its 200 users (0.0%; "
    )
    assert "--name" in said and "--rebase" in said and "\n" not in said


@pytest.mark.parametrize("size", [(200, 80), (2000, 60), (120, 300)])
def test_a_shop_with_the_same_numbers_for_ids_is_refused_by_what_its_users_did(
    champion: Path, size: tuple[int, int]
) -> None:
    other = shop(1, *size)
    found = found_in(champion, other)
    assert found.items.value > 0.5 and found.users.value > 0.5 and found.moments.of > 100
    with pytest.raises(DataError, match=r"shares only 0 of its \d+ last interactions of the users in common \(0\.0%"):
        judged(champion, other)


def test_a_bound_of_0_asks_nothing(champion: Path) -> None:
    judged(champion, shop(1, prefix="x"), min_shared_items=0, min_shared_users=0, min_shared_moments=0)


def test_what_is_left_of_a_line_that_lost_half_of_its_items_is_told_in_numbers(champion: Path) -> None:
    smaller = shop(0, items=80)
    kept = smaller.item_ids[:31]
    with pytest.raises(DataError, match=r"shares only 30 of its 80 items \(37\.5%; promote\.min_shared_items: 0\.5\)"):
        judged(champion, Dataset(**{**vars(smaller), "item_ids": kept}))
