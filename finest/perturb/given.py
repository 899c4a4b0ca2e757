"""Edit files of the user's own: read as what they are, and checked against the data before anything is trained on them.

Such a file has the form of the edit table that the step perturb writes, so that a run's own edits can be applied again.
"""

import io
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from finest.data.dataset import Dataset
from finest.data.epoch import END
from finest.errors import DataError, first_line
from finest.perturb.config import EditFile
from finest.perturb.edits import EDITS_SCHEMA, ScenarioEdits, from_table
from finest.perturb.registry import EDITS

Mask = npt.NDArray[np.bool_]
ADDED = "new_timestamp"
"""The column that edit tables of earlier versions lack: their rows keep their times."""
NAMED = 5
"""Number of names that a message lists at most."""


def read(content: bytes, of: EditFile) -> pa.Table:
    """Returns the rows of an edit file that are its scenario's, in EDITS_SCHEMA, with the scenario's name of this run.

    Args:
        content: The file.
        of: The scenario that it is for.

    Raises:
        DataError: It is no edit table, or has not the one scenario.
    """
    try:
        table = pq.read_table(io.BytesIO(content), page_checksum_verification=True)
        table.validate(full=True)  # texts that are not UTF-8
    except (ValueError, pa.ArrowException, OSError) as error:
        raise DataError(f"{of.file}: cannot be read as Parquet ({first_line(error)}); give an edit table") from error
    names = EDITS_SCHEMA.names
    if ADDED not in table.column_names:
        table = table.append_column(ADDED, pa.nulls(len(table), pa.int64()))
    if missing := [name for name in names if name not in table.column_names]:
        raise _unfit(of, f"there is no column {', '.join(missing)}; an edit table has {', '.join(names)}")
    if len(table.column_names) > len(names):
        other = [name for name in table.column_names if name not in names] or ["of one name twice"]
        raise _unfit(of, f"there are columns that no edit table has: {', '.join(other[:NAMED])}; leave them out")
    if empty := [field.name for field in EDITS_SCHEMA if not field.nullable and table.column(field.name).null_count]:
        raise _unfit(of, f"column {empty[0]} has nulls")
    try:
        if pa.types.is_timestamp(table.column(ADDED).type):  # of any unit: its number alone would be another time
            place, column = table.column_names.index(ADDED), table.column(ADDED)
            table = table.set_column(place, ADDED, column.cast(pa.timestamp("us", column.type.tz)))
        table = table.select(names).cast(EDITS_SCHEMA)
    except (ValueError, pa.ArrowException) as error:
        raise _unfit(of, f"a column is of another type ({first_line(error)})") from error
    scenario = table.column("scenario").to_pylist()
    known = list(dict.fromkeys(scenario))
    wanted = of.scenario or (known[0] if len(known) == 1 else "")
    if not known:
        raise _unfit(of, "it holds no edits")
    if wanted not in known:
        asked = (
            f"there is no scenario {of.scenario}" if of.scenario else "it holds several scenarios; name one (scenario)"
        )
        raise _unfit(of, f"{asked}; there are {', '.join(known[:NAMED])}{', ...' if len(known) > NAMED else ''}")
    table = table.filter(pa.array([name == wanted for name in scenario]))
    return table.set_column(0, EDITS_SCHEMA.field(0), pa.array([of.name] * len(table), pa.string()))


def edits(table: pa.Table, of: EditFile, data: Dataset) -> ScenarioEdits:
    """Returns the edits of a scenario's rows of an edit file, checked against the data.

    Args:
        table: What `read` returned.
        of: The scenario.
        data: The data set.

    Raises:
        DataError: A row of it does not fit the data; the first such row is named, and what is wrong with it.
    """
    row = table.column("row").to_numpy()
    user, old, new, kind = (
        np.array(table.column(name).to_pylist(), dtype=object) for name in ("user", "old_item", "new_item", "kind")
    )
    time = table.column(ADDED)
    has_item, has_time = table.column("new_item").is_valid().to_numpy(), time.is_valid().to_numpy()
    new_time = time.fill_null(0).to_numpy()
    known = (row >= 0) & (row < len(data.train))
    at = np.where(known, row, 0)
    catalogue = set(data.item_ids[1:].tolist())
    kinds = {name: EDITS[name].fills if name in EDITS else None for name in dict.fromkeys(kind)}

    def of_kinds(check: Callable[[frozenset[str]], bool]) -> Mask:
        chosen = {name for name, which in kinds.items() if which is not None and check(which)}
        return np.array([name in chosen for name in kind], dtype=bool)

    first_of_row = np.zeros(len(row), dtype=bool)
    first_of_row[np.unique(row, return_index=True)[1]] = True
    takes_item, no_item = of_kinds(lambda which: "new_item" in which), of_kinds(lambda which: "new_item" not in which)
    takes_time, no_time = of_kinds(lambda which: ADDED in which), of_kinds(lambda which: ADDED not in which)
    wrong: dict[str, Mask] = {
        "kind {kind}: there is no such kind of edit": np.array([name not in EDITS for name in kind], dtype=bool),
        "row {row}: the data set has rows 0 to {last}": ~known,
        "row {row} is held out, and nothing touches such rows": ~data.train[at],
        "row {row} is edited twice": ~first_of_row,
        "row {row} is of user {own_user!r}, not of {user!r}": data.user_ids[data.user[at]] != user,
        "row {row} holds item {own_item!r}, not {old!r}": data.target_ids[at] != old,
        "row {row}: a {kind} needs a new_item": takes_item & ~has_item,
        "row {row}: a {kind} has no new_item": no_item & has_item,
        "row {row}: item {new!r} is not in the catalogue": has_item & [name not in catalogue for name in new],
        "row {row}: the new item is the old one": has_item & (new == old),
        "row {row}: a {kind} needs a new_timestamp": takes_time & ~has_time,
        "row {row}: a {kind} has no new_timestamp": no_time & has_time,
        "row {row}: {time} is no time from 1970 to 2200, in microseconds": has_time
        & ((new_time < 0) | (new_time >= END)),
        "row {row}: the new time is the old one": has_time & (new_time == data.timestamp[at]),
    }
    for text, mask in wrong.items():
        if mask.any():
            place = int(np.flatnonzero(mask)[0])
            said = text.format(
                kind=kind[place],
                row=row[place],
                last=len(data.train) - 1,
                user=user[place],
                own_user=data.user_ids[data.user[at[place]]],
                old=old[place],
                own_item=data.target_ids[at[place]],
                new=new[place],
                time=new_time[place],
            )
            others = f" (and {mask.sum() - 1} more such rows)" if mask.sum() > 1 else ""
            raise _unfit(of, f"{said}{others}; the edits must be of this very data set")
    return from_table(table, data)[of.name]


def _unfit(of: EditFile, why: str) -> DataError:
    return DataError(f"{of.file}: {why}")
