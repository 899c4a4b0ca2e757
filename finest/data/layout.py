"""How a file of a source is to be read, as engines are told it."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import pyarrow as pa

from finest.data.config import SEGMENT, Columns
from finest.data.partition import keyed
from finest.data.source import SourceFile
from finest.errors import DataError

Kind = Literal["text", "integer", "float", "time"]

Layouts = list[tuple["Layout", list[SourceFile]]]
"""Files by how they are read: those of one layout are read together."""

FAULT = "fault"
"""Column of a copy that says why a row cannot be used, null where nothing is wrong with it."""


@dataclass(frozen=True)
class Layout:
    """Says how to read a file."""

    format: Literal["parquet", "text"]
    columns: tuple[tuple[str, str], ...]
    """(role, column) of user, item, timestamp, sequence and segments: the column's name in Parquet, its number from 0
    in a text file."""
    kind: Kind = "text"
    """How timestamps are stored."""
    types: tuple[pa.DataType, ...] = ()
    """Types of Parquet columns, in the order of `columns`. Files of several types are not read together, because
    engines cast to the first file's types: '007' to 7."""
    faults: bool = False
    """Whether there is a column FAULT."""
    width: int = 0
    """Number of columns of a text file."""
    delimiter: str = ","
    """What is between a text file's fields."""
    quote: str = '"'
    """What is around a field that may hold a delimiter; empty: nothing."""
    header: bool = True
    """Whether the first line of a text file holds names."""
    skip: int = 0
    """Number of blank lines at a text file's start."""
    compression: Literal["none", "gzip", "zstd"] = "none"
    """How a text file is compressed."""


class Found(NamedTuple):
    """Holds what the start of a file tells."""

    file: SourceFile
    layout: Layout | None
    """None: the file has no rows."""
    times: list[str]
    """Some of its timestamps, as text."""
    notes: list[str]
    """What was guessed, or is other than it is written, a sentence each."""


def places(file: SourceFile, names: list[str], columns: Columns, header: bool = True) -> dict[str, int]:
    """Returns the place of each role's column, from 0.

    Args:
        file: The file.
        names: Names of its columns; of a file without a header, anything.
        columns: Says which column has a role, by name or number.
        header: Whether the names are names.

    Raises:
        DataError: There is no such column, or more than one.
    """
    found = {}
    for role, column in columns.roles.items():
        option = "ingest.columns.segments" if role.startswith(SEGMENT) else f"ingest.columns.{role}"
        if isinstance(column, int):
            if column >= len(names):
                raise DataError(
                    f"{file.path}: no column number {column} ({option}); there are {len(names)}, numbered from 0"
                )
            found[role] = column
        elif names.count(column) == 1:
            found[role] = names.index(column)
        else:
            fault = "no column" if column not in names else "more than one column"
            said = "names the columns that are segments" if role.startswith(SEGMENT) else f"says which holds the {role}"
            listed = ", ".join(map(shown, names[:20])) + (", ..." if len(names) > 20 else "")
            more = "" if header else "; is this the first row of a file without a header? Give columns by number then"
            if header and len(names) == 1:
                more = "; is something else between the fields? Set ingest.separator"
            if column in keyed(file.path):
                more = f"; the folder's {column}= is not read as a column: write it into the files"
            raise DataError(f"{file.path}: {fault} {column!r}; found {listed}; {option} {said}{more}")
    return found


def shown(name: str) -> str:
    """Returns a name as an error can show it: on one line, and not too long.

    >>> shown("user id"), len(shown("a" * 50))
    ('user id', 43)
    """
    name = name if len(name) <= 40 else name[:40] + "..."
    return name if name.isprintable() else repr(name)
