"""Lists, scores, ranks and catalogue of one file say the same, or the file is refused with the row and both values."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from finest.errors import DataError
from finest.ranklists import file
from finest.ranklists.schema import Catalogue, Description, RankLists
from finest.testing.rank_lists import mean_rank

ITEMS, DEPTH = 12, 5


def ranked(scores: np.ndarray, target: np.ndarray, exclude_seen: bool = False) -> RankLists:
    """The lists of scores [M, ITEMS], as an honest trainer writes them; -inf is left out."""
    order = np.argsort(-scores, axis=1, kind="stable")[:, :DEPTH]
    listed = np.take_along_axis(scores, order, axis=1)
    rank = mean_rank(scores, target)
    rank[np.isneginf(scores[np.arange(len(scores)), target])] = np.nan
    about = {
        "catalogue": Catalogue(items=scores.shape[1], digest="mine"),
        "model": "mine",
        "role": "clean",
        "stage": "tuned",
        "depth": DEPTH,
        "exclude_seen": exclude_seen,
    }
    names = np.array([f"i{code}" for code in range(scores.shape[1])], dtype=object)
    return RankLists(
        user=np.array([f"u{row}" for row in range(len(scores))], dtype=object),
        position=np.full(len(scores), 9),
        target=names[target],
        target_rank=rank,
        items=np.where(np.isneginf(listed), -1, order),
        scores=np.where(np.isneginf(listed), np.nan, listed).astype(np.float32),
        vocabulary=names,
        description=Description.model_validate(about),
    )


def written(lists: RankLists, folder: Path) -> RankLists:
    file.write(lists, folder / "lists.parquet")
    return file.read(folder / "lists.parquet")


@given(st.data())
def test_honest_lists_are_read_whatever_is_tied_or_left_out(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    levels = data.draw(st.integers(1, ITEMS))
    scores = np.array(
        data.draw(st.lists(st.lists(st.integers(0, levels), min_size=ITEMS, max_size=ITEMS), min_size=1, max_size=4)),
        float,
    )
    exclude = data.draw(st.booleans())
    if exclude:
        gone = data.draw(st.lists(st.integers(0, ITEMS - 1), max_size=9, unique=True))
        scores[:, gone] = -np.inf
    target = np.array([data.draw(st.integers(0, ITEMS - 1)) for _ in scores])
    written(ranked(scores, target, exclude), tmp_path_factory.mktemp("lists"))


SCORES = np.array([[9, 8, 7, 7, 7, 5, 4, 3, 2, 1, 0, -1], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]], float)
TARGET = np.array([1, 4])
"""In place 2 of the first list; rank 8, behind the second."""


def changed(**fields: Any) -> RankLists:
    return replace(ranked(SCORES, TARGET), **fields)


def items(row: int, place: int, code: int) -> np.ndarray:
    found = ranked(SCORES, TARGET).items.copy()
    found[row, place] = code
    return found


def scores(row: int, place: int, value: float) -> np.ndarray:
    found = ranked(SCORES, TARGET).scores.copy()
    found[row, place] = value
    return found


def about(**changes: Any) -> Description:
    return ranked(SCORES, TARGET).description.model_copy(update=changes)


@pytest.mark.parametrize(
    ("lists", "says"),
    [
        (changed(target_rank=np.array([1.0, 1.0])), 'user "u0", position 9: the target stands in place 2 of the list,'),
        (changed(target_rank=np.array([1.0, 7.0])), "in a tie from 2 to 2, but target_rank is 1"),  # off by one
        (changed(target_rank=np.array([3.0, 8.0])), "in a tie from 2 to 2, but target_rank is 3"),
        (changed(target_rank=np.array([2.0, 5.0])), "is not in the list of 5 items, but target_rank is 5"),
        (changed(target_rank=np.array([2.0, 13.0])), "target_rank 13 in a catalogue of 12 items"),
        (changed(target_rank=np.array([np.nan, 8.0])), "in place 2 of the list, but target_rank is null"),
        (
            changed(target_rank=np.array([np.nan, 8.0]), description=about(role="champion")),
            "in place 2 of the list, but target_rank is null",
        ),
        (changed(description=about(depth=2**63)), "metadata 'rank_lists': depth: must be less than or equal to"),
        (
            changed(description=about(catalogue=Catalogue.model_construct(items=10**30, digest="x"))),
            "catalogue.items: must be less than or equal to 9007199254740992",
        ),
        (changed(target=np.array(["i5", "i4"], object)), "is not in the list of 5 items, but target_rank is 2"),
        (changed(items=items(0, 1, 9)), "is not in the list of 5 items, but target_rank is 2"),
        (changed(scores=scores(1, 3, 11.5)), "the score rises along the list, from 10 in place 3 to 11.5"),
        (changed(scores=ranked(SCORES, TARGET).scores[:, ::-1]), "the score rises along the list, from 7 in place 3"),
        (changed(items=items(1, 4, -1)), "a list of 4 items, where 12 of the catalogue's 12 can be ranked"),
        (changed(description=about(depth=10**9)), "a list of 5 items, where 12 of the catalogue's 12 can be ranked"),
        (changed(description=about(depth=6)), "and the metadata's depth is 6; write the whole list"),
        (changed(description=about(catalogue=Catalogue(items=9, digest="x"))), "hold 10 different items"),
        (changed(description=about(catalogue=Catalogue(items=0, digest="x"))), "the metadata's catalogue has 0"),
    ],
)
def test_what_contradicts_itself_is_refused_with_both_values(lists: RankLists, says: str, tmp_path: Path) -> None:
    with pytest.raises(DataError) as error:
        written(lists, tmp_path)
    assert str(error.value).startswith(f"{tmp_path}/lists.parquet: ") and says in str(error.value)


def test_a_rank_within_a_tie_is_read_by_whatever_convention(tmp_path: Path) -> None:
    for rank in (3.0, 4.0, 5.0, 4.5):
        lists = replace(ranked(SCORES, np.array([3, 4])), target_rank=np.array([rank, 8.0]))
        assert written(lists, tmp_path).target_rank[0] == rank


def many(levels: int, catalogue: int = ITEMS, each: int = 1) -> RankLists:
    """Honest lists of a recommender that tells so many levels of scores apart, for 300 instances."""
    random = np.random.default_rng(0)
    scores = random.integers(0, levels, (300, catalogue)).astype(float)
    lists = ranked(scores, random.integers(0, catalogue, 300))
    users = np.array([f"u{row // each}" for row in range(300)], dtype=object)
    position = np.arange(300) % each + 300
    return replace(lists, user=users, position=position)


@pytest.mark.parametrize("place", ["best", "worst"])
def test_the_best_or_worst_rank_of_ties_throughout_a_file_is_refused(place: str, tmp_path: Path) -> None:
    lists = many(levels=6)
    written(lists, tmp_path)
    code = {name: number for number, name in enumerate(lists.vocabulary)}
    target = np.array([code[item] for item in lists.target])
    own = np.where(lists.items == target[:, None], lists.scores, np.nan)
    tied = lists.scores == np.nanmax(np.where(np.isnan(own), -1, own), axis=1, keepdims=True)
    last = tied.shape[1] - tied[:, ::-1].argmax(1)
    closed = tied.any(1) & (last < tied.shape[1])
    rank = np.where(closed, tied.argmax(1) + 1 if place == "best" else last, lists.target_rank)
    with pytest.raises(DataError, match=r"is the mean over the places|the mean over the places .* write mean ranks"):
        written(replace(lists, target_rank=rank.astype(float)), tmp_path)


def test_scores_without_levels_do_not_make_every_listed_target_the_first(tmp_path: Path) -> None:
    lists = many(levels=1)
    inside = (lists.items == np.array([int(item[1:]) for item in lists.target])[:, None]).any(1)
    with pytest.raises(DataError, match=r"target_rank is 1, and the mean .* is 3 \(or more\)"):
        written(replace(lists, target_rank=np.where(inside, 1.0, lists.target_rank)), tmp_path)


def test_one_rank_for_all_that_is_behind_the_lists_is_refused(tmp_path: Path) -> None:
    lists = many(levels=10**6, catalogue=300)
    written(lists, tmp_path)
    with pytest.raises(DataError, match=r"targets that are not in their lists, .* have target_rank 6; write the rank"):
        written(replace(lists, target_rank=np.minimum(lists.target_rank, DEPTH + 1)), tmp_path)


def test_what_a_user_chose_before_is_in_no_list_that_leaves_out_what_is_seen(tmp_path: Path) -> None:
    lists = many(levels=10**6, catalogue=900, each=3)
    hidden = lists.description.model_copy(update={"exclude_seen": True})
    written(replace(lists, description=hidden), tmp_path)
    items, row = lists.items.copy(), 4  # a user's second instance
    items[row, 2] = int(lists.target[row - 1][1:])
    seen = replace(lists, items=items)
    written(seen, tmp_path)  # of a recommender that may repeat
    with pytest.raises(DataError, match=r'user "u1", position 301: place 3 of the list is what .* at position 300'):
        written(replace(seen, description=hidden), tmp_path)
    written(replace(seen, description=hidden.model_copy(update={"role": "repeat_last"})), tmp_path)


@pytest.mark.parametrize("longest", [1, 0])
def test_lists_of_one_item_or_of_none_are_read(longest: int, tmp_path: Path) -> None:
    lists = changed(
        items=ranked(SCORES, TARGET).items[:, :1] if longest else np.full((2, 1), -1),
        scores=ranked(SCORES, TARGET).scores[:, :1] if longest else np.full((2, 1), np.nan, np.float32),
        description=about(role="champion", depth=1),
    )
    assert (written(lists, tmp_path).items >= 0).sum() == 2 * longest


def test_a_page_that_was_changed_on_disk_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "lists.parquet"
    file.write(ranked(SCORES, TARGET), path)
    content = bytearray(path.read_bytes())
    content[60] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match="cannot be read as Parquet"):
        file.read(path)
