"""Checks that a file of rank lists agrees with itself: numbers are taken from it as facts, whoever wrote it.

Shapes: M instances, D items a list.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from finest.errors import DataError
from finest.ranklists.schema import TRAINED, RankLists

ROWS = 32_768
"""Number of instances that are looked at at a time."""
CONVENTION = 0.01
"""Share of instances, and of MRR, that ranks within ties may have from another convention than the mean: scores of more
digits than a file's may tell apart what is tied in it. More is a way to count."""
ONE_RANK, BEHIND = 0.2, 100
"""Largest share of the targets behind their lists that may have one and the same rank, where there are so many targets,
and ranks that they may have. Of honest lists on four kinds of data it is under .01."""

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


def check(path: Path, lists: RankLists, vocabulary: dict[str, int]) -> None:
    """Checks scores, ranks and lengths of all lists against each other, and their items against the catalogue's size.

    Lists with scores that are no finite numbers are not compared by them: they are the rule `sanity`'s.

    Args:
        path: The file, for messages.
        lists: What it holds.
        vocabulary: Code of each item id.

    Raises:
        DataError: Two facts contradict each other; the text names file, instance and both values.
    """
    about = lists.description
    items = np.count_nonzero(np.bincount(lists.items[lists.items >= 0]))
    if items > about.catalogue.items:
        raise DataError(
            f"{path}: the lists hold {items} different items, but the metadata's catalogue has "
            f"{about.catalogue.items}; write the catalogue that was ranked"
        )
    targets = pa.array(lists.target, pa.string()).dictionary_encode()
    codes = np.array([vocabulary.get(item, -2) for item in targets.dictionary.to_pylist()], np.int64)
    target = codes[targets.indices.to_numpy()] if len(codes) else np.zeros(0, np.int64)
    parts = [slice(first, first + ROWS) for first in range(0, len(lists), ROWS)]
    mean = np.concatenate([_check_part(path, lists, target, rows) for rows in parts] or [np.zeros(0)])
    _check_ties(path, lists, mean)
    if about.role in (*TRAINED, "champion"):
        _check_behind(path, lists, np.isnan(mean))
        if about.exclude_seen:
            _check_seen(path, lists, target, parts)


def _where(lists: RankLists, row: int) -> str:
    return f"user {json.dumps(str(lists.user[row]))}, position {lists.position[row]}"


def _check_part(path: Path, lists: RankLists, target: Ints, rows: slice) -> Floats:
    """Checks some instances; returns the mean rank of each listed target's tie, NaN of those that are not listed."""
    items, scores, rank = lists.items[rows], lists.scores[rows], lists.target_rank[rows]
    about, position, held = lists.description, lists.position[rows], items >= 0
    catalogue, length = about.catalogue.items, held.sum(1)

    def stop(wrong: Bools, says: str, *values: npt.NDArray[Any]) -> None:
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0])
            where = _where(lists, rows.start + row)
            raise DataError(f"{path}: {where}: {says.format(*(value[row] for value in values))}")

    rankable = catalogue - position if about.exclude_seen else np.full(len(items), catalogue)
    if about.role in TRAINED:
        stop(
            length < np.minimum(about.depth, rankable),
            f"a list of {{}} items, where {{}} of the catalogue's {catalogue} can be ranked and the metadata's depth "
            f"is {about.depth}; write the whole list",
            length,
            rankable,
        )
    stop(rank > catalogue, f"target_rank {{:g}} in a catalogue of {catalogue} items", rank)
    finite = (np.isfinite(scores) | ~held).all(1)
    rise = (scores[:, 1:] > scores[:, :-1]) & held[:, 1:]
    row = np.arange(len(items))
    if scores.shape[1] > 1:
        place = rise.argmax(1)
        stop(
            np.asarray(rise.any(1) & finite),
            "the score rises along the list, from {:g} in place {} to {:g}; items stand best first",
            scores[row, place],
            place + 1,
            scores[row, place + 1],
        )
    inside = items == target[rows, None]
    place, found = inside.argmax(1), inside.any(1)
    if about.role in (*TRAINED, "champion"):  # a baseline may list what lists leave out
        stop(found & np.isnan(rank), "the target stands in place {} of the list, but target_rank is null", place + 1)
    own = scores[row, np.where(found, place, np.maximum(length - 1, 0))][:, None]
    tied = (scores == own) & held
    first, last = tied.argmax(1) + 1, items.shape[1] - tied[:, ::-1].argmax(1)
    # What is tied with a list's last item may stand behind the list: then only the catalogue bounds the rank.
    open_ended = last == length
    stop(
        finite & found & ((rank < first) | (rank > np.where(open_ended, catalogue, last))),
        "the target stands in place {} of the list, in a tie from {} to {}, but target_rank is {:g}",
        place + 1,
        first,
        last,
        rank,
    )
    least = np.where(length > 0, (first + length + 1) / 2, 1.0)  # of a target that is tied with the last item
    stop(
        finite & ~found & (rank < least),
        "the target is not in the list of {} items, but target_rank is {:g}",
        length,
        rank,
    )
    mean = np.where(open_ended, np.maximum(rank, (first + length) / 2), (first + last) / 2)
    return np.where(found, np.where(finite, mean, rank), np.nan)


def _check_ties(path: Path, lists: RankLists, mean: Floats) -> None:
    """Checks that ranks within ties are not those of the best place, or of the worst, throughout the file."""
    rank, listed = lists.target_rank, ~np.isnan(mean)
    others = np.flatnonzero(listed & (rank != mean))
    if len(others) <= max(2, CONVENTION * len(lists)):
        return
    own, right = (float((1 / each[listed]).sum() / len(lists)) for each in (rank, mean))
    if abs(own / right - 1) > CONVENTION:
        row = others[0]
        raise DataError(
            f"{path}: {_where(lists, row)}: target_rank is {rank[row]:g}, and the mean over the places that the target "
            f"is tied with is {mean[row]:g} (or more); by {len(others)} such ranks the listed targets have an MRR of "
            f"{own:.4f}, which is {right:.4f}; write mean ranks"
        )


def _check_behind(path: Path, lists: RankLists, behind: Bools) -> None:
    """Checks that targets behind the lists have ranks of their own: what is not known of them is not a rank."""
    about, rank = lists.description, lists.target_rank[behind & ~np.isnan(lists.target_rank)]
    if len(rank) < BEHIND or about.catalogue.items - about.depth < BEHIND:
        return
    ranks, often = np.unique(rank, return_counts=True)
    if often.max() > ONE_RANK * len(rank):
        raise DataError(
            f"{path}: of {len(rank)} targets that are not in their lists, {often.max()} have target_rank "
            f"{ranks[often.argmax()]:g}; write the rank of each over the whole catalogue"
        )


def _check_seen(path: Path, lists: RankLists, target: Ints, parts: list[slice]) -> None:
    """Checks that no list holds what the same user chose at an earlier instance, where lists leave out what is seen."""
    users = pa.array(lists.user, pa.string()).dictionary_encode().indices.to_numpy().astype(np.int64)
    width = int(max(lists.items.max(initial=0), target.max(initial=0))) + 1
    chosen = np.flatnonzero(target >= 0)
    chosen = chosen[np.lexsort((lists.position[chosen], target[chosen], users[chosen]))]
    pairs, first = np.unique(users[chosen] * width + target[chosen], return_index=True)
    since = lists.position[chosen[first]]
    if not len(pairs):
        return
    for rows in parts:
        items = lists.items[rows]
        pair = users[rows, None] * width + items
        place = np.minimum(np.searchsorted(pairs, pair), len(pairs) - 1)
        seen = (items >= 0) & (pairs[place] == pair) & (since[place] < lists.position[rows, None])
        if seen.any():
            row, column = (int(each[0]) for each in np.nonzero(seen))
            raise DataError(
                f"{path}: {_where(lists, rows.start + row)}: place {column + 1} of the list is what this user chose "
                f"at position {since[place[row, column]]}, and the metadata says exclude_seen; leave out the whole "
                "history"
            )
