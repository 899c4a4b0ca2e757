"""The edit table: perturbations as data that can be read, diffed, logged and applied again bit for bit."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from finest.data.dataset import Dataset, Ints, Rows
from finest.errors import ConfigError, DataError, FinestError
from finest.keys import numpy_generator
from finest.perturb.config import Scenario
from finest.perturb.registry import EDITS, FAMILIES

EDITS_SCHEMA = pa.schema(
    [
        pa.field("scenario", pa.string(), nullable=False),
        pa.field("kind", pa.string(), nullable=False),  # deletion, replacement, insertion or another package's
        pa.field("row", pa.int64(), nullable=False),  # number of the clean row in interactions.parquet
        pa.field("user", pa.string(), nullable=False),
        pa.field("old_item", pa.string(), nullable=False),  # the row's item; an insertion goes just before it
        pa.field("new_item", pa.string()),  # null for a deletion
    ]
)


@dataclass(frozen=True)
class Edits:
    """Holds one scenario's edits, as numbers. A row is edited at most once."""

    kind: str
    """Name of the kind of edit."""
    row: Ints
    """Ids [E] of the rows to edit."""
    item: Ints
    """Codes [E] of the new items; 0 where there is none, as in a deletion."""

    def __len__(self) -> int:
        return len(self.row)


def draw(data: Dataset, scenario: Scenario) -> Edits:
    """Returns the scenario's edits of the training rows, ascending. They depend on the scenario, not on the run's seed.

    Raises:
        ConfigError: The family has fewer rows to select from than the scenario edits.
        DataError: The catalogue has no other item to put in.
        FinestError: The family breaks its contract.
    """
    words = scenario.seed, scenario.family.name, scenario.kind.name
    row = _select(data, scenario, numpy_generator("select", *words))
    with EDITS.at_work(scenario.kind.name):
        edit = EDITS[scenario.kind.name](scenario.kind)
        item = edit.new_items(data, row, numpy_generator("new item", *words))
    return Edits(scenario.kind.name, row, item)


def _select(data: Dataset, scenario: Scenario, generator: np.random.Generator) -> Ints:
    """Returns the ids [E] of the rows that the family selects, ascending: `share` of all, but at least one."""
    count = max(1, round(scenario.share * np.count_nonzero(data.train)))
    with FAMILIES.at_work(scenario.family.name):
        family = FAMILIES[scenario.family.name](scenario.family)
        row = np.sort(family.select(data, count, generator))
    if len(row) > count or not data.train[row].all() or (row[1:] == row[:-1]).any():
        raise FinestError(
            f"perturbation family {scenario.family.name} is at fault: it did not select {count} different training rows"
        )
    if len(row) < count:
        raise ConfigError(
            f"perturb.scenarios: {scenario.name} edits {count} rows, but there are only {len(row)} {family.candidates};"
            " lower its share"
        )
    return row


def apply(rows: Rows, edits: Edits) -> Rows:
    """Returns the training rows after `edits`.

    Order is kept; a user's other rows keep their ids and anchors. Edits of clean rows that `rows` no longer holds
    (deleted or replaced before) are skipped.
    """
    clean = np.flatnonzero(rows.id >= 0)
    _, among_clean, which = np.intersect1d(rows.id[clean], edits.row, assume_unique=True, return_indices=True)
    with EDITS.at_work(edits.kind):
        return EDITS[edits.kind].apply(rows, clean[among_clean], edits.item[which])


def to_table(edits: Mapping[str, Edits], data: Dataset) -> pa.Table:
    """Returns the table of all edits, in EDITS_SCHEMA, in the order of `edits` and of the rows that they name."""
    parts = []
    for scenario, of in edits.items():
        order = np.argsort(of.row)
        row, item = of.row[order], of.item[order]
        columns = {
            "scenario": [scenario] * len(of),
            "kind": [of.kind] * len(of),
            "row": row,
            "user": data.user_ids[data.user[row]],
            "old_item": data.target_ids[row],
            "new_item": pa.array(data.item_ids[item], pa.string(), mask=item == 0),
        }
        parts.append(pa.table(columns, schema=EDITS_SCHEMA))
    return pa.concat_tables(parts)


def from_table(table: pa.Table, data: Dataset) -> dict[str, Edits]:
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
    scenario = np.array(table.column("scenario").to_pylist(), dtype=object)
    kind = table.column("kind").to_pylist()
    result = {}
    for name in dict.fromkeys(scenario):
        of = np.flatnonzero(scenario == name)
        result[name] = Edits(kind[of[0]], row[of], item[of])
    return result
