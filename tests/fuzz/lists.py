"""Rank lists: of ours, damaged; of somebody else, of other types and values; and folders of them that a gate judges."""

import json
import shutil
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from finest.gate.config import Gate
from finest.gate.judge import judge
from finest.gate.verdict_file import as_json, decision
from finest.ranklists import file
from finest.ranklists.baselines import popularity
from finest.ranklists.schema import METADATA_KEY, RANK_LISTS_SCHEMA, RankLists
from finest.testing.rank_lists import made_up
from tests.builders import random_dataset
from tests.fuzz import mutate
from tests.fuzz.kind import Good, Kind, WrongError

LISTS = "lists.parquet"
TYPES = (
    pa.string(),
    pa.large_string(),
    pa.int8(),
    pa.uint64(),
    pa.float16(),
    pa.float64(),
    pa.bool_(),
    pa.binary(),
    pa.list_(pa.large_string()),
    pa.large_list(pa.float64()),
    pa.list_(pa.int64()),
    pa.list_(pa.null()),
    pa.null(),
)
ARRAYS = ("user", "position", "target", "target_rank", "items", "scores")


def prepare(folder: Path) -> None:
    file.write(popularity(random_dataset()), folder / LISTS)


def make_bytes(draw: Random, folder: Path, prepared: Path) -> None:
    (folder / LISTS).write_bytes(mutate.of_bytes(draw, (prepared / LISTS).read_bytes()))


def read_bytes(folder: Path, prepared: Path) -> Good:
    """A file of ours is read as it was written, or refused."""
    _same(file.read(folder / LISTS), file.read(prepared / LISTS))
    return "equal"


def _same(found: RankLists, wanted: RankLists) -> None:
    if found.description != wanted.description:
        raise WrongError("the lists' description is another one")
    for name in ARRAYS:
        one, other = getattr(found, name), getattr(wanted, name)
        if not np.array_equal(one, other, equal_nan=one.dtype.kind == "f"):
            raise WrongError(f"{name} is not what was written")


def make_other(draw: Random, folder: Path, prepared: Path) -> None:
    """Written by somebody else: no stamp, any type and value, a description that may be off."""
    table = pq.read_table(prepared / LISTS)
    said = json.loads(table.schema.metadata[METADATA_KEY])
    if draw.random() < 0.4:
        text = mutate.of_json(draw, said)
        table = table.replace_schema_metadata({METADATA_KEY: text.encode("utf-8", "surrogatepass")})
    for _ in range(draw.choice((0, 1, 1, 2))):
        name = draw.choice(table.column_names)
        column = _changed(draw, table[name].to_pylist(), table.schema.field(name).type)
        if column is not None:
            table = table.set_column(table.column_names.index(name), name, column)
    what = draw.random()
    if what < 0.1:
        table = table.slice(0, draw.randrange(4))
    elif what < 0.2:
        table = table.drop_columns([draw.choice(table.column_names)])
    elif what < 0.3:
        table = table.take(draw.sample(range(table.num_rows), table.num_rows))
    elif what < 0.35:
        table = table.append_column(draw.choice(table.column_names), table[0])
    elif what < 0.45:
        table = table.append_column(
            "after_cut", pa.array([draw.choice((True, False, 1, None)) in (True,)] * table.num_rows)
        )
    pq.write_table(table, folder / LISTS, row_group_size=draw.choice((1, 1000)))


def _changed(draw: Random, values: list[Any], kind: pa.DataType) -> pa.Array | None:
    """Returns a column with another value or of another type, None for one that cannot be."""
    if values and draw.random() < 0.7:
        place = draw.randrange(len(values))
        odd = draw.choice((*mutate.ODD_TEXTS, *mutate.ODD_JSON))
        inner = values[place]
        if isinstance(inner, list) and inner and draw.random() < 0.8:
            at = draw.randrange(len(inner))
            values[place] = draw.choice(
                (
                    inner[:at],
                    inner * 2,
                    inner[::-1],
                    [*inner[:at], odd, *inner[at + 1 :]],
                    [*inner[:at], inner[0], *inner[at + 1 :]],
                )
            )
        else:
            values[place] = draw.choice((odd, values[draw.randrange(len(values))], 1e9, -1, float("nan")))
    wanted = draw.choice((kind, kind, kind, None, *TYPES))
    try:
        return pa.array(values, wanted)
    except (pa.ArrowException, ValueError, TypeError, OverflowError):
        return None


def read_other(folder: Path, prepared: Path) -> Good:
    """What is taken is the same once it was written by us and read again."""
    found, again = file.read(folder / LISTS), folder / "again.parquet"
    file.write(found, again)
    _same(file.read(again, {item: code for code, item in enumerate(found.vocabulary)}), found)
    return "other input"


def prepare_gate(folder: Path) -> None:
    made_up().write(folder / "lists")


def make_gate(draw: Random, folder: Path, prepared: Path) -> None:
    shutil.copytree(prepared / "lists", folder / "lists")
    paths = sorted((folder / "lists").rglob("*.parquet"))
    for _ in range(draw.choice((1, 1, 2))):
        path, other = draw.sample(paths, 2)
        what = draw.random()
        if what < 0.2:
            path.unlink(missing_ok=True)
        elif what < 0.35 and other.exists():
            shutil.copyfile(other, path.with_name("copy.parquet" if draw.random() < 0.5 else path.name))
        elif path.exists():
            _restated(draw, path)


def _restated(draw: Random, path: Path) -> None:
    """Writes one file of a run anew, by somebody else: with another description, or with rows that are changed."""
    table = pq.read_table(path)
    said = json.loads(table.schema.metadata[METADATA_KEY])
    if draw.random() < 0.5:
        said[draw.choice(sorted(said))] = draw.choice(
            (*mutate.ODD_TEXTS, "base", "tuned", "clean", "probe", "champion", "baseline", "independent", 1, None)
        )
        table = table.replace_schema_metadata({METADATA_KEY: json.dumps(said).encode("utf-8", "surrogatepass")})
    elif draw.random() < 0.5:
        table = table.slice(0, draw.choice((0, 1, table.num_rows // 2)))
    else:
        name = draw.choice(RANK_LISTS_SCHEMA.names)
        column = _changed(draw, table[name].to_pylist(), table.schema.field(name).type)
        table = table if column is None else table.set_column(table.column_names.index(name), name, column)
    pq.write_table(table, path)


def read_gate(folder: Path, prepared: Path) -> Good:
    """The verdict is what its rules say, whatever they were given."""
    verdict = judge([folder / "lists"], Gate.model_validate({"self_test": False}))
    if verdict.verdict != decision(verdict.rules, verdict.selftest)[0]:
        raise WrongError(f"the verdict is {verdict.verdict}, its rules say otherwise")
    as_json(verdict)
    return "other input"


KINDS = (
    Kind("lists-bytes", 700, make_bytes, read_bytes, prepare),
    Kind("lists-other", 600, make_other, read_other, prepare),
    Kind("gate", 80, make_gate, read_gate, prepare_gate),
)
