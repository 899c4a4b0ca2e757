"""Which columns a source has, checked in every file before a row is read.

Otherwise, a column that is renamed in one file of many would become nulls.
"""

import csv
import io
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import PurePath
from typing import Literal

import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from finest.data.config import SEGMENT, Ingest
from finest.data.source import SourceFile
from finest.errors import ConfigError, DataError, first_line

Format = Literal["parquet", "csv", "tsv", "inter"]
Kind = Literal["text", "integer", "float", "time"]

Layouts = list[tuple["Layout", list[SourceFile]]]
"""Files by how they are read: those of one layout are read together."""

ENDINGS: dict[str, Format] = {".parquet": "parquet", ".csv": "csv", ".tsv": "tsv", ".inter": "inter"}
DELIMITERS = {"csv": ",", "tsv": "\t", "inter": "\t"}
COMPRESSED = ".gz"
"""Ending of a text file that is compressed, behind that of its format."""
HEADER_BYTES = 1 << 20
"""Number of bytes in which a text file's header must end."""


@dataclass(frozen=True)
class Layout:
    """Says how to read a file."""

    format: Format
    width: int
    """Number of columns of a text file; 0 for Parquet."""
    columns: tuple[tuple[str, str], ...]
    """(role, column) of user, item, timestamp, sequence and segments: the column's name in Parquet, its number from 0
    in a text file."""
    kind: Kind
    """How timestamps are stored."""
    types: tuple[pa.DataType, ...] = ()
    """Types of Parquet columns, in the order of `columns`. Files of several types are not read together, because
    engines cast to the first file's types: '007' to 7."""


def format_of(path: str) -> Format | None:
    """Returns the format that a file name's ending says, None for an unknown one."""
    name = path.lower().removesuffix(COMPRESSED)
    format = next((format for ending, format in ENDINGS.items() if name.endswith(ending)), None)
    return None if format == "parquet" and path.lower().endswith(COMPRESSED) else format


def check(filesystem: pafs.FileSystem, files: list[SourceFile], config: Ingest) -> Layouts:
    """Reads every file's header and groups the files by layout, in the order of their paths.

    Raises:
        ConfigError: A file name's ending says no format.
        DataError: A file is empty, unreadable or lacks a mapped column; it is named.
    """
    files = sorted(files, key=lambda file: file.path)
    beside = next((PurePath(file.path).name for file in files if format_of(file.path)), "")
    with ThreadPoolExecutor(8) as threads:
        layouts = list(threads.map(lambda file: _layout(filesystem, file, config, beside), files))
    return [
        (layout, [file for file, its in zip(files, layouts, strict=True) if its == layout])
        for layout in dict.fromkeys(layouts)
    ]


def _layout(filesystem: pafs.FileSystem, file: SourceFile, config: Ingest, beside: str) -> Layout:
    """Reads how a file is to be read from its name and its header; `beside` is a file whose ending says its format."""
    format = format_of(file.path) if config.format == "auto" else config.format
    if format is None and beside:
        raise ConfigError(
            f"{file.path}: by its ending ({', '.join(ENDINGS)}) no interactions, as {beside} beside it; give "
            "that file itself as the source, or move this one away"
        )
    if format is None:
        raise ConfigError(
            f"{file.path}: cannot tell the format from the ending ({', '.join(ENDINGS)}); set ingest.format"
        )
    if file.size == 0:
        raise DataError(f"{file.path}: the file is empty")
    return _parquet(filesystem, file, config) if format == "parquet" else _text(filesystem, file, format, config)


def _parquet(filesystem: pafs.FileSystem, file: SourceFile, config: Ingest) -> Layout:
    try:
        schema = pq.read_schema(file.path, filesystem=filesystem)
    except pa.ArrowInvalid as error:
        raise DataError(f"{file.path}: not a readable Parquet file ({first_line(error)})") from error
    except OSError as error:
        raise DataError(f"{file.path}: cannot be read ({first_line(error)})") from error
    roles = _roles(file, schema.names, config)
    for role, name in roles.items():
        _check_type(file, role, name, schema.field(name).type)
    types = tuple(schema.field(name).type for name in roles.values())
    return Layout("parquet", 0, tuple(roles.items()), _kind(schema.field(roles["timestamp"]).type), types)


def _text(filesystem: pafs.FileSystem, file: SourceFile, format: Format, config: Ingest) -> Layout:
    compression = "gzip" if file.path.lower().endswith(COMPRESSED) else None
    try:
        with filesystem.open_input_stream(file.path, compression=compression) as stream:
            start = stream.read(HEADER_BYTES).decode("utf-8-sig", errors="replace")
    except OSError as error:
        raise DataError(f"{file.path}: not readable ({first_line(error)})") from error
    quoting: Literal[0, 3] = csv.QUOTE_NONE if format == "inter" else csv.QUOTE_MINIMAL
    names = next(csv.reader(io.StringIO(start), delimiter=DELIMITERS[format], quoting=quoting), [])
    if format == "inter":  # name:type
        names = [name.rpartition(":")[0] or name for name in names]
    roles = _roles(file, names, config)
    return Layout(format, len(names), tuple((role, str(names.index(name))) for role, name in roles.items()), "text")


def _roles(file: SourceFile, names: list[str], config: Ingest) -> dict[str, str]:
    """Returns the file's column for each role. Raises DataError where there is none, or more than one."""
    roles = config.columns.roles
    for role, name in roles.items():
        if names.count(name) != 1:
            fault = "no column" if name not in names else "more than one column"
            found = ", ".join(names[:20]) + (", ..." if len(names) > 20 else "")
            raise DataError(
                f"{file.path}: {fault} {name!r}; found {found};"
                + (
                    " ingest.columns.segments names the columns that are segments"
                    if role in config.columns.segment_roles
                    else f" ingest.columns.{role} says which column holds the {role}"
                )
            )
    return roles


def _check_type(file: SourceFile, role: str, name: str, type: pa.DataType) -> None:
    """Raises DataError where a Parquet column is of a type that cannot have the role."""
    value = type.value_type if pa.types.is_dictionary(type) else type
    text = pa.types.is_string(value) or pa.types.is_large_string(value) or pa.types.is_string_view(value)
    allowed = text or pa.types.is_integer(value)
    wanted, key = "text or an integer", role
    if role == "timestamp":
        allowed = allowed or pa.types.is_floating(value) or pa.types.is_timestamp(value) or pa.types.is_date(value)
        wanted = "a timestamp, a number or text"
    elif role.startswith(SEGMENT):
        allowed = allowed or pa.types.is_boolean(value)
        wanted, key = "text, integers or booleans", "segments"
    if not allowed:
        raise DataError(f"{file.path}: column {name!r} is {type}, but ingest.columns.{key} must be {wanted}")


def _kind(type: pa.DataType) -> Kind:
    """Returns how a Parquet column of this type stores timestamps."""
    value = type.value_type if pa.types.is_dictionary(type) else type
    if pa.types.is_integer(value):
        return "integer"
    if pa.types.is_floating(value):
        return "float"
    return "time" if pa.types.is_timestamp(value) or pa.types.is_date(value) else "text"
