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

Bools = npt.NDArray[np.bool_]
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
    for first in range(0, len(lists), ROWS):
        _check_part(path, lists, target, slice(first, first + ROWS))


def _check_part(path: Path, lists: RankLists, target: Ints, rows: slice) -> None:
    items, scores, rank = lists.items[rows], lists.scores[rows], lists.target_rank[rows]
    about, position, held = lists.description, lists.position[rows], items >= 0
    catalogue, length = about.catalogue.items, held.sum(1)

    def stop(wrong: Bools, says: str, *values: npt.NDArray[Any]) -> None:
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0])
            where = f"user {json.dumps(str(lists.user[rows][row]))}, position {position[row]}"
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
