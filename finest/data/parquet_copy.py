"""Copies of Parquet's columns that engines confuse or read in ways of their own, as all of them read them alike."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from finest.data.config import SEGMENT
from finest.data.layout import FAULT

MILLISECONDS = (1 << 63) // 1000
"""The end of the milliseconds that 64 bits hold as microseconds: the year 294246."""
ROWS = 1 << 16
"""Number of rows that are copied at a time."""


def copy(parquet: pq.ParquetFile, at: dict[str, int], target: Path) -> None:
    """Writes the mapped columns under their roles' names, with as many rows, and what is wrong with a row in FAULT."""
    names = parquet.schema_arrow.names
    wanted = sorted({names[place] for place in at.values()})
    writer = None
    try:
        for batch in parquet.iter_batches(ROWS, columns=wanted):
            columns: dict[str, pa.Array] = {}
            fault = pa.nulls(len(batch), pa.string())
            for role, place in at.items():
                same = [number for number, name in enumerate(batch.schema.names) if name == names[place]]
                column = batch.column(same[names[:place].count(names[place])])
                columns[role], wrong = _plain(column, role)
                fault = pc.coalesce(fault, wrong)
            table = pa.table({**columns, FAULT: fault})
            writer = writer or pq.ParquetWriter(target, table.schema)
            writer.write_table(table)
    finally:
        if writer:
            writer.close()


def stored(type: pa.DataType) -> pa.DataType:
    """Returns the type of what is stored, below a dictionary or an extension."""
    if pa.types.is_dictionary(type):
        return stored(type.value_type)
    return type.storage_type if isinstance(type, pa.BaseExtensionType) and not is_uuid(type) else type


def is_uuid(type: pa.DataType) -> bool:
    """Tells whether values are UUIDs."""
    return isinstance(type, pa.UuidType)


def is_text(type: pa.DataType) -> bool:
    """Tells whether values are text."""
    return bool(pa.types.is_string(type) or pa.types.is_large_string(type) or pa.types.is_string_view(type))


def is_bytes(type: pa.DataType) -> bool:
    """Tells whether values are bytes, which may be text."""
    return bool(
        pa.types.is_binary(type)
        or pa.types.is_large_binary(type)
        or pa.types.is_binary_view(type)
        or pa.types.is_fixed_size_binary(type)
    )


def _plain(column: pa.Array, role: str) -> tuple[pa.Array, pa.Array]:
    """Returns a column as engines read it alike, and what is wrong with each value, null where it can be used."""
    fine = pa.nulls(len(column), pa.string())
    type = column.type
    if pa.types.is_dictionary(type):
        return _plain(column.dictionary_decode(), role)
    if is_uuid(type):
        return _uuids(column), fine
    if isinstance(type, pa.BaseExtensionType):
        return _plain(column.storage, role)
    if pa.types.is_timestamp(type) and type.unit == "ms":
        number = column.cast(pa.int64())
        far = pc.or_(pc.greater_equal(number, MILLISECONDS), pc.less_equal(number, -MILLISECONDS))
        near = pc.if_else(far, pa.scalar(None, pa.int64()), number)
        micros = pc.multiply(near, 1000).cast(pa.timestamp("us", type.tz))
        return micros, pc.if_else(far, "timestamp out of range", fine)
    if role == "timestamp" and pa.types.is_floating(type):
        return column.cast(pa.float64()), fine
    if pa.types.is_floating(type):
        return _whole(column, role)
    if pa.types.is_decimal(type):
        text = pc.replace_substring_regex(column.cast(pa.string()), r"^(-?[0-9]+)\.0*$", r"\1")
        if role == "timestamp" or role.startswith(SEGMENT):
            return text, fine
        return text, pc.if_else(pc.match_substring(text, "."), f"{role} not a whole number", fine)
    if is_bytes(type):
        return _decoded(column, role)
    if is_text(type) or pa.types.is_null(type):
        column = column.cast(pa.string())
        try:
            column.validate(full=True)
        except pa.ArrowInvalid:
            return _decoded(column.cast(pa.binary()), role)
        return column, fine
    return column, fine


def _whole(column: pa.Array, role: str) -> tuple[pa.Array, pa.Array]:
    """Returns floating-point numbers as whole ones where the type holds each of these."""
    bits = {16: 11, 32: 24, 64: 53}[column.type.bit_width]
    number_N = column.cast(pa.float64()).to_numpy(zero_copy_only=False)  # null is nan
    exact_N = (np.abs(number_N) <= 2.0**bits) & (np.floor(number_N) == number_N)
    whole = pa.array(np.where(exact_N, number_N, 0).astype(np.int64)).cast(pa.string())
    text = pc.if_else(pa.array(exact_N), whole, pa.array(number_N).cast(pa.string()))
    text = pc.if_else(pa.array(np.isnan(number_N)), pa.scalar(None, pa.string()), text)
    fine = pa.nulls(len(column), pa.string())
    wrong_N = ~exact_N & ~np.isnan(number_N)
    return text, pc.if_else(pa.array(wrong_N), f"{role} not a whole number that {column.type} holds exactly", fine)


def _decoded(column: pa.Array, role: str) -> tuple[pa.Array, pa.Array]:
    """Returns bytes as the text that they are in UTF-8."""
    fine = pa.nulls(len(column), pa.string())
    if pa.types.is_fixed_size_binary(column.type) or pa.types.is_binary_view(column.type):
        column = column.cast(pa.binary())
    try:
        return column.cast(pa.string()), fine
    except pa.ArrowInvalid:
        pass
    pairs = list(map(_text_of, column.to_pylist()))
    faults = [None if valid else f"{role} not UTF-8" for _, valid in pairs]
    return pa.array([text for text, _ in pairs], pa.string()), pa.array(faults, pa.string())


def _text_of(value: bytes | None) -> tuple[str | None, bool]:
    if value is None:
        return None, True
    try:
        return value.decode(), True
    except UnicodeDecodeError:
        return value.decode(errors="backslashreplace"), False


def _uuids(column: pa.Array) -> pa.Array:
    """Returns 16 bytes each as they are written: 8-4-4-4-12 hexadecimal digits."""
    raw = column.storage.cast(pa.binary()).fill_null(bytes(16))
    bytes_N16 = np.frombuffer(b"".join(raw.to_pylist()), np.uint8).reshape(-1, 16)
    digits_N32 = np.stack([bytes_N16 >> 4, bytes_N16 & 15], axis=2).reshape(-1, 32)
    text_N36 = np.full((len(column), 36), ord("-"), np.uint8)
    text_N36[:, [place for place in range(36) if place not in (8, 13, 18, 23)]] = np.frombuffer(
        b"0123456789abcdef", np.uint8
    )[digits_N32]
    bounds = np.arange(len(column) + 1, dtype=np.int32) * 36
    text = pa.Array.from_buffers(
        pa.string(), len(column), [None, pa.py_buffer(bounds), pa.py_buffer(text_N36.tobytes())]
    )
    return pc.if_else(column.is_null(), pa.scalar(None, pa.string()), text)
