"""How a Parquet file is to be read: its columns and their types.

Columns that engines confuse or read in ways of their own (names that differ in case alone, whole numbers as floats or
decimals, text as bytes) are copied, as text, to a plain file on this machine, which they read in its place.
"""

import hashlib
from pathlib import Path

import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from finest.data import forms
from finest.data.config import SEGMENT, Ingest
from finest.data.layout import Found, Kind, Layout, places
from finest.data.parquet_copy import MILLISECONDS, copy, is_bytes, is_text, is_uuid, stored
from finest.data.source import SourceFile
from finest.data.units import guess
from finest.errors import DISK_FULL, DataError, first_line

RESERVED = {"", "filename", "file_row_number", "_metadata"}
"""Names, in lower case, that engines give to columns of their own, or cannot take."""
SAMPLE = 1000
"""Number of rows whose timestamps are looked at."""


def found(filesystem: pafs.FileSystem, file: SourceFile, config: Ingest, copies: Path, copied: bool) -> Found:
    """Reads a file's footer, and some timestamps.

    Args:
        filesystem: Where the file is.
        file: The file.
        config: Says which columns are needed.
        copies: Folder for a copy, where it needs one.
        copied: Whether it needs one in any case.

    Raises:
        DataError: The file is unreadable, lacks a mapped column, or has one of a type that cannot be meant.
    """
    try:
        # Read as it comes: of a long column, its start may be all that is needed.
        with pq.ParquetFile(file.path, filesystem=filesystem, pre_buffer=False, buffer_size=1 << 16) as parquet:
            if parquet.metadata.num_rows == 0:
                return Found(file, None, [], [])
            return _found(parquet, file, config, copies, copied)
    except (pa.ArrowInvalid, UnicodeDecodeError) as error:  # the latter: of names in the footer
        raise DataError(f"{file.path}: not a readable Parquet file ({first_line(error)})") from error
    except OSError as error:
        if error.errno in DISK_FULL:  # of the copy
            raise
        raise DataError(f"{file.path}: cannot be read ({first_line(error)})") from error


def _found(parquet: pq.ParquetFile, file: SourceFile, config: Ingest, copies: Path, copied: bool) -> Found:
    schema = parquet.schema_arrow
    at = places(file, schema.names, config.columns)
    for role, place in at.items():
        _check_type(file, role, schema.field(place))
    notes = [
        f"column {schema.field(place).name!r} holds floating-point numbers, which are read as whole ones (7.0 is '7')"
        for role, place in at.items()
        if role in ("user", "item") and pa.types.is_floating(stored(schema.field(place).type))
    ]
    lower = [name.lower() for name in schema.names]
    names = {role: schema.field(place).name for role, place in at.items()}
    if (
        copied
        or len(set(lower)) < len(lower)
        or RESERVED & set(lower)
        or any(_is_odd(role, schema.field(place).type) for role, place in at.items())
        or not _all_in_microseconds(parquet, at["timestamp"])
    ):
        target = copies / f"{hashlib.sha256(file.path.encode()).hexdigest()}.parquet"
        copy(parquet, at, target)
        schema = pq.read_schema(target)
        file, names = SourceFile(file.path, file.size, file.etag, target), {role: role for role in at}
    types = tuple(schema.field(name).type for name in names.values())
    kind = _kind(schema.field(names["timestamp"]).type)
    layout = Layout("parquet", tuple(names.items()), kind, types, faults=file.copy is not None)
    return Found(file, layout, _times(parquet, at["timestamp"], kind), notes)


def _check_type(file: SourceFile, role: str, field: pa.Field) -> None:
    """Raises DataError where a column is of a type that cannot have the role."""
    value = stored(field.type)
    allowed = (
        is_text(value)
        or is_bytes(value)
        or pa.types.is_integer(value)
        or pa.types.is_decimal(value)
        or pa.types.is_null(value)
    )
    wanted, key = "text or an integer", role
    if role == "timestamp":
        allowed = allowed or pa.types.is_floating(value) or pa.types.is_timestamp(value) or pa.types.is_date(value)
        wanted = "a timestamp, a number or text"
    elif role.startswith(SEGMENT):
        allowed = allowed or is_uuid(value) or pa.types.is_boolean(value)
        wanted, key = "text, integers or booleans", "segments"
    else:
        allowed = allowed or pa.types.is_floating(value) or is_uuid(value)
    if not allowed:
        raise DataError(
            f"{file.path}: column {field.name!r} is {field.type}, but ingest.columns.{key} must be {wanted}"
        )


def _is_odd(role: str, type: pa.DataType) -> bool:
    """Tells whether engines read a column in ways of their own."""
    value = stored(type)
    if pa.types.is_floating(value):
        return role != "timestamp" or bool(pa.types.is_float16(value))
    return is_bytes(value) or is_uuid(value) or bool(pa.types.is_decimal(value) or pa.types.is_null(value))


def _kind(type: pa.DataType) -> Kind:
    """Returns how a column of this type stores timestamps."""
    value = stored(type)
    if pa.types.is_integer(value):
        return "integer"
    if pa.types.is_floating(value):
        return "float"
    return "time" if pa.types.is_timestamp(value) or pa.types.is_date(value) else "text"


def _times(parquet: pq.ParquetFile, place: int, kind: Kind) -> list[str]:
    """Returns some timestamps that may be numbers, as text: the bounds in the footer, where they tell a unit."""
    if kind == "time":
        return []
    if kind != "text":
        bounds = _bounds(parquet, place)
        if bounds and len({guess([bound]) for bound in bounds}) == 1 and not forms.guess(bounds):
            return bounds
    for batch in parquet.iter_batches(SAMPLE, columns=[parquet.schema_arrow.names[place]]):
        return [_number(value) for value in batch.column(0).to_pylist() if value is not None]
    return []


def _all_in_microseconds(parquet: pq.ParquetFile, place: int) -> bool:
    """Tells whether milliseconds are few enough to be counted as microseconds, which engines do as they read."""
    type = stored(parquet.schema_arrow.field(place).type)
    if not pa.types.is_timestamp(type) or type.unit != "ms":
        return True
    bounds = _bounds(parquet, place, raw=True)
    return bool(bounds) and all(abs(int(bound)) < MILLISECONDS for bound in bounds)


def _bounds(parquet: pq.ParquetFile, place: int, raw: bool = False) -> list[str]:
    """Returns the least and the greatest timestamp that the footer names; nothing where it does not."""
    name, found = parquet.schema_arrow.names[place], list[str]()
    leaves = [leaf for leaf in range(len(parquet.schema)) if parquet.schema.column(leaf).path == name]
    if len(leaves) != 1:
        return []
    # Reading a value raises what a damaged footer makes of it; asking for a column's metadata would end the process.
    next(parquet.iter_batches(1, row_groups=[0], columns=[name]), None)
    for number in range(parquet.metadata.num_row_groups):
        its = parquet.metadata.row_group(number).column(leaves[0]).statistics
        if its is None or not its.has_min_max:
            return []
        found += map(_number, (its.min_raw, its.max_raw) if raw else (its.min, its.max))
    return found


def _number(value: object) -> str:
    """Returns a timestamp as text, without an exponent."""
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return f"{value:.6f}".removesuffix(".000000") if isinstance(value, float) else str(value)
