"""The edit table: perturbations as data that can be read, diffed, logged and applied again bit for bit."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from finest.data.dataset import Dataset, Ints, Rows
from finest.errors import ConfigError, DataError, FinestError
from finest.keys import numpy_generator
from finest.perturb.config import Change, Combined, Drawn
from finest.perturb.registry import EDITS, FAMILIES, Edit

EDITS_SCHEMA = pa.schema(
    [
        pa.field("scenario", pa.string(), nullable=False),
        pa.field("kind", pa.string(), nullable=False),  # deletion, replacement, insertion or another package's
        pa.field("row", pa.int64(), nullable=False),  # number of the clean row in interactions.parquet
        pa.field("user", pa.string(), nullable=False),
        pa.field("old_item", pa.string(), nullable=False),  # the row's item; an insertion goes just before it
        pa.field("new_item", pa.string()),  # null for a deletion
        pa.field("new_timestamp", pa.int64()),  # microseconds since 1970 (UTC); null where the row keeps its time
    ]
)


@dataclass(frozen=True)
class Edits:
    """Holds a scenario's edits of one kind, as numbers. A row is edited at most once."""

    kind: str
    """Name of the kind of edit."""
    row: Ints
    """Ids [E] of the rows to edit."""
    item: Ints
    """Codes [E] of the new items; 0 where there is none, as in a deletion."""
    timestamp: Ints | None = None
    """New times [E] of the rows, in microseconds since 1970 (UTC); None where all keep theirs."""

    def __len__(self) -> int:
        return len(self.row)


ScenarioEdits = tuple[Edits, ...]
"""All edits of a scenario; no row is in two of them."""


def draw(data: Dataset, scenario: Drawn) -> ScenarioEdits:
    """Returns the scenario's edits of the training rows, ascending. They depend on the scenario, not on the run's seed.

    Raises:
        ConfigError: The family has fewer rows to select from than the scenario edits.
        DataError: The catalogue has no other item to put in, or the rows no other time.
        FinestError: The family breaks its contract.
    """
    count = max(1, round(scenario.share * np.count_nonzero(data.train)))
    if not isinstance(scenario, Combined):
        return (_draw(data, data.train, scenario, scenario.name, count, (scenario.seed,)),)
    of_each, more = divmod(count, len(scenario.edits))
    if not of_each:
        raise ConfigError(
            f"perturb.scenarios: {scenario.name} edits {count} rows, fewer than its {len(scenario.edits)} edits;"
            " raise its share"
        )
    left, drawn = data.train, list[Edits]()
    for number, change in enumerate(scenario.edits):
        words = scenario.seed, "part", number
        drawn.append(_draw(data, left, change, scenario.name, of_each + (number < more), words))
        left = left.copy()
        left[drawn[-1].row] = False
    return tuple(drawn)


def _draw(
    data: Dataset, free: npt.NDArray[np.bool_], change: Change, name: str, count: int, seed: tuple[str | int, ...]
) -> Edits:
    """Returns one kind of edits of `count` of the training rows that are free [N]."""
    words = *seed, change.family.name, change.kind.name
    row = _select(data if free is data.train else replace(data, train=free), change, name, count, words)
    with EDITS.at_work(change.kind.name):
        edit = EDITS[change.kind.name](change.kind)
        item = edit.new_items(data, row, numpy_generator("new item", *words))
        timestamp = edit.new_timestamps(data, row, numpy_generator("new timestamp", *words))
    return Edits(change.kind.name, row, item, timestamp)


def _select(data: Dataset, change: Change, name: str, count: int, words: tuple[str | int, ...]) -> Ints:
    """Returns the ids [E] of the rows that the family selects, ascending."""
    with FAMILIES.at_work(change.family.name):
        family = FAMILIES[change.family.name](change.family)
        row = np.sort(family.select(data, count, numpy_generator("select", *words)))
    if len(row) > count or not data.train[row].all() or (row[1:] == row[:-1]).any():
        raise FinestError(
            f"perturbation family {change.family.name} is at fault: it did not select {count} different training rows"
        )
    if not family.exact and not len(row):
        raise ConfigError(
            f"perturb.scenarios: {name} edits {count} rows, but there are no {family.candidates}; raise its share"
        )
    if family.exact and len(row) < count:
        raise ConfigError(
            f"perturb.scenarios: {name} edits {count} rows, but there are only {len(row)} {family.candidates};"
            " lower its share"
        )
    return row


def apply(rows: Rows, edits: Iterable[Edits]) -> Rows:
    """Returns the training rows after `edits`.

    Order is kept but for rows that get another time; a user's other rows keep their ids and anchors. Edits of clean
    rows that `rows` no longer holds (deleted or replaced before) are skipped.
    """
    # New times come last: a place keeps its anchor, so rows that go, or come, before or after a move are not the same.
    for of in sorted(edits, key=lambda of: (of.timestamp is not None, of.kind)):
        clean = np.flatnonzero(rows.id >= 0)
        _, among_clean, which = np.intersect1d(rows.id[clean], of.row, assume_unique=True, return_indices=True)
        place = clean[among_clean]
        order = np.argsort(place)  # rows that were shifted in time are not in the order of their ids
        timestamp = None if of.timestamp is None else of.timestamp[which[order]]
        with EDITS.at_work(of.kind):
            rows = edited(EDITS[of.kind], rows, place[order], of.item[which[order]], timestamp)
    return rows


def edited(edit: type[Edit], rows: Rows, place: Ints, item: Ints, timestamp: Ints | None) -> Rows:
    """Returns rows with edits of a kind.

    Where times are new, each user's rows are put in order of time, those of one time as they stood. What moves is the
    interaction, with its id; places keep their anchors, so that every window keeps its number of rows.

    Args:
        edit: The kind of edit.
        rows: Training rows.
        place: Places [E] of the rows to edit, ascending.
        item: Codes [E] of the new items.
        timestamp: New times [E]; None where all keep theirs.
    """
    if timestamp is None:
        return edit.apply(rows, place, item)
    time = rows.timestamp.copy()
    time[place] = timestamp
    rows = edit.apply(replace(rows, timestamp=time), place, item)
    order = np.lexsort((rows.timestamp, rows.user))
    return replace(rows, item=rows.item[order], id=rows.id[order], timestamp=rows.timestamp[order])


def to_table(edits: Mapping[str, ScenarioEdits], data: Dataset) -> pa.Table:
    """Returns the table of all edits, in EDITS_SCHEMA, in the order of `edits` and of the rows that they name."""
    parts = []
    for scenario, of in ((name, of) for name, every in edits.items() for of in every):
        order = np.argsort(of.row)
        row, item = of.row[order], of.item[order]
        columns = {
            "scenario": [scenario] * len(of),
            "kind": [of.kind] * len(of),
            "row": row,
            "user": data.user_ids[data.user[row]],
            "old_item": data.target_ids[row],
            "new_item": pa.array(data.item_ids[item], pa.string(), mask=item == 0),
            "new_timestamp": pa.nulls(len(of), pa.int64()) if of.timestamp is None else of.timestamp[order],
        }
        parts.append(pa.table(columns, schema=EDITS_SCHEMA))
    return pa.concat_tables(parts)


def from_table(table: pa.Table, data: Dataset) -> dict[str, ScenarioEdits]:
    """Returns a table's edits by scenario, with items as codes of `data`.

    Raises:
        DataError: The table was made for other data.
    """
    row = table.column("row").to_numpy()
    old = np.array(table.column("old_item").to_pylist(), dtype=object)
    last = len(data.target_ids) - 1
    foreign = (row > last) | (data.target_ids[np.minimum(row, last)] != old)
    if foreign.any():
        raise DataError(
            f"edits: row {row[foreign][0]} of the data set does not hold item {old[foreign][0]!r};"
            " plan edits from this data"
        )
    code = {str(item): number for number, item in enumerate(data.item_ids)}
    item = np.array(
        [0 if name is None else code[name] for name in table.column("new_item").to_pylist()], dtype=np.int64
    )
    given = table.column("new_timestamp")
    moves = given.is_valid().to_numpy()
    timestamp = np.where(moves, given.fill_null(0).to_numpy(), data.timestamp[row])
    of: dict[str, dict[str, list[int]]] = {}
    for number, (scenario, kind) in enumerate(
        zip(table.column("scenario").to_pylist(), table.column("kind").to_pylist(), strict=True)
    ):
        of.setdefault(scenario, {}).setdefault(kind, []).append(number)
    return {
        scenario: tuple(
            Edits(kind, row[which], item[which], timestamp[which] if moves[which].any() else None)
            for kind, which in kinds.items()
        )
        for scenario, kinds in of.items()
    }
