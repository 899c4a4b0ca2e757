"""Cuts of the instances into segments: by what the rank lists say themselves, and by what the data's folder knows."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from finest import parquet
from finest.data import schema
from finest.errors import DataError
from finest.gate.evidence import Evidence

Mask = npt.NDArray[np.bool_]

EDGES = (0.05, 0.25, 0.5, 0.75, 0.95)
"""Shares of users between bins. The ends are narrow: what goes wrong goes wrong for those with the shortest or the
longest histories first, and in a quarter of all users it would be thinned out."""
HEAD, TAIL = 0.5, 0.8
"""Most popular items with half of the training interactions together are the head; what is behind four fifths of them,
the tail."""
FEW = 5
"""An item or a user with fewer training interactions is hardly known."""
MOST_VALUES = 20
"""Number of values of a mapped column that are segments, those with the most users; the rest is one more."""
UNKNOWN = "unknown"
"""Value of an instance whose interaction has none in a mapped column."""


class Segment(NamedTuple):
    """Holds a part of the M instances."""

    cut: str
    """What they were cut by, like `history length`."""
    value: str
    among_M: Mask


def segments(evidence: Evidence, least: int, data: Path | None) -> list[Segment]:
    """Returns all segments of which there is more than one, or that are not everybody.

    Args:
        evidence: The rank lists.
        least: Number of users that the bins at both ends have at least.
        data: Folder that ingest wrote, for the cuts by popularity, by training rows and by mapped columns.
    """
    found = [*_by_user(evidence, least), *_new_items(evidence)]
    if data is not None:
        found += [*_by_item(evidence, data), *_new_users(evidence, data), *_mapped(evidence, data)]
    return [segment for segment in found if segment.among_M.any() and not segment.among_M.all()]


def _by_user(evidence: Evidence, least: int) -> Iterator[Segment]:
    codes = evidence.codes
    first = np.r_[0, np.flatnonzero(np.diff(codes)) + 1]
    for cut, values_U in (
        ("history length", evidence.position[first]),
        ("instances of the user", np.bincount(codes)),
    ):
        for value, among_U in bins(values_U, least):
            yield Segment(cut, value, among_U[codes])


def bins(values_U: npt.NDArray[np.int64], least: int) -> Iterator[tuple[str, Mask]]:
    """Yields name and mask of each bin of users by a whole number; equal numbers are in one bin.

    >>> [(name, int(among.sum())) for name, among in bins(np.arange(100), least=10)]
    [('up to 9', 10), ('10 to 24', 15), ('25 to 49', 25), ('50 to 74', 25), ('75 to 89', 15), ('from 90', 10)]
    """
    users, order = len(values_U), np.sort(values_U)
    ranks = [min(max(round(share * users), least), users - least) for share in EDGES]
    edges = sorted({int(order[rank - 1]) for rank in ranks if rank > 0} - {int(order[-1])})
    for low, high in zip([None, *edges], [*edges, None], strict=True):
        among = np.ones(users, bool)
        if low is not None:
            among &= values_U > low
        if high is not None:
            among &= values_U <= high
        if low is None:
            name = f"up to {high}"
        elif high is None:
            name = f"from {low + 1}"
        else:
            name = f"{low + 1} to {high}" if high > low + 1 else str(high)
        yield name, among


def _new_items(evidence: Evidence) -> Iterator[Segment]:
    """Yields the instances whose target the candidate can rank and the champion cannot: it is not in its catalogue."""
    champion = evidence.other("champion")
    if champion is not None:
        new = np.isnan(champion.target_rank) & ~np.isnan(evidence.candidate.target_rank)
        yield Segment("target", "new since the champion", new)


def _by_item(evidence: Evidence, data: Path) -> Iterator[Segment]:
    items = _read(data, schema.ITEMS)
    counts = dict(zip(items["item"].to_pylist(), items["train_interactions"].to_pylist(), strict=True))
    count_M = np.array([counts.get(item, 0) for item in evidence.target], np.int64)
    least_of_head, most_of_tail = popularity_edges(items["train_interactions"].to_numpy())
    yield Segment("target's popularity", "head", count_M >= least_of_head)
    yield Segment("target's popularity", "middle", (count_M < least_of_head) & (count_M >= most_of_tail))
    yield Segment("target's popularity", "tail", (count_M < most_of_tail) & (count_M > 0))
    yield Segment("target", f"fewer than {FEW} training interactions", (count_M < FEW) & (count_M > 0))


def popularity_edges(counts_I: npt.NDArray[np.int64]) -> tuple[int, int]:
    """Returns the least training interactions of a head item, and the least of an item that is not in the tail.

    >>> popularity_edges(np.array([50, 30, 10, 5, 5]))
    (50, 30)
    """
    falling = np.sort(counts_I)[::-1]
    before = np.cumsum(falling) - falling  # interactions of all that are more popular
    head, tail = (
        int(falling[before < share * falling.sum()].min(initial=falling.max(initial=0))) for share in (HEAD, TAIL)
    )
    return head, tail


def _new_users(evidence: Evidence, data: Path) -> Iterator[Segment]:
    users = _read(data, schema.USERS)
    rows = dict(zip(users["user"].to_pylist(), users["train_interactions"].to_pylist(), strict=True))
    few = np.array([rows.get(user, 0) < FEW for user in evidence.user], bool)
    yield Segment("user", f"fewer than {FEW} training interactions", few)


def _mapped(evidence: Evidence, data: Path) -> Iterator[Segment]:
    """Yields the values of the source's columns that ingest was told to keep."""
    if not (data / schema.SEGMENTS).exists():
        return
    table = _read(data, schema.SEGMENTS)
    keys = zip(table["user"].to_pylist(), table["position"].to_pylist(), strict=True)
    place = {key: row for row, key in enumerate(keys)}
    try:
        rows = [place[key] for key in zip(evidence.user.tolist(), evidence.position.tolist(), strict=True)]
    except KeyError as error:
        raise DataError(
            f"{data / schema.SEGMENTS} has no row of user {error.args[0][0]}, position {error.args[0][1]}, of which "
            "there are rank lists; give the lists' own data"
        ) from error
    for name in table.column_names:
        if not name.startswith(schema.SEGMENT_COLUMN):
            continue
        values = table[name].fill_null(UNKNOWN).take(rows).to_pylist()
        value_M = np.array(values, dtype=object)
        users = Counter(value for value, _ in set(zip(values, evidence.codes.tolist(), strict=True)))
        most = sorted(users, key=lambda value: (-users[value], value))
        for value in most[:MOST_VALUES]:
            yield Segment(name.removeprefix(schema.SEGMENT_COLUMN), value, value_M == value)
        if rest := most[MOST_VALUES:]:
            yield Segment(name.removeprefix(schema.SEGMENT_COLUMN), f"{len(rest)} others", np.isin(value_M, rest))


def _read(data: Path, name: str) -> pa.Table:
    try:
        return parquet.read(data / name)
    except FileNotFoundError as error:
        raise DataError(f"{data}: no data set that ingest wrote ({name} is missing)") from error
