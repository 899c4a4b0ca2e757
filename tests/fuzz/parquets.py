"""Parquet sources: changed in bytes, and of other types, names and values."""

import io
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tests.fuzz import mutate
from tests.fuzz.kind import Kind
from tests.fuzz.sources import FIRST, SECOND, describe, plain_rows, read, sometimes_checked
from tests.fuzz.texts import NAMES

Maker = Callable[[int], pa.Array]
CODECS = ("none", "snappy", "gzip", "zstd", "lz4", "brotli")
ODD_NAMES = (
    "filename",
    "file_row_number",
    "rowid",
    "USER_ID",
    "Item_id",
    "user_id",
    "",
    "a.b",
    "a/b",
    '"',
    "'",
    "\n",
    "fault",
    "file",
    "record",
    "_metadata",
    "\u202e",
    "x" * 3000,
)


def plain_table() -> pa.Table:
    """Returns the plain rows."""
    return pa.table(dict(zip(NAMES, (list(column) for column in zip(*_numbers(), strict=True)), strict=True)))


def _numbers() -> list[tuple[str, str, int]]:
    return [(user, item, moment // SECOND) for user, item, moment in plain_rows()]


def written(table: pa.Table, draw: Random) -> bytes:
    """Returns a table as a Parquet file, written in one of many ways."""
    buffer = io.BytesIO()
    options: dict[str, Any] = {
        "compression": draw.choice(CODECS),
        "use_dictionary": draw.random() < 0.5,
        "write_statistics": draw.random() < 0.5,
        "version": draw.choice(("1.0", "2.4", "2.6")),
        "data_page_version": draw.choice(("1.0", "2.0")),
        "write_page_checksum": draw.random() < 0.3,
        "store_schema": draw.random() < 0.7,
    }
    if draw.random() < 0.15:
        options["use_deprecated_int96_timestamps"] = True
    if draw.random() < 0.3:
        options["row_group_size"] = draw.choice((1, 7, 50))
    pq.write_table(table, buffer, **options)
    return buffer.getvalue()


def make_bytes(draw: Random, folder: Path, prepared: Path) -> None:
    content = written(plain_table(), draw)
    if draw.random() < 0.4:  # in the footer, which says how all else is read
        size = int.from_bytes(content[-8:-4], "little") + 8
        content = content[:-size] + mutate.of_bytes(draw, content[-size:])
    else:
        content = mutate.of_bytes(draw, content)
    (folder / "data.parquet").write_bytes(content)
    describe(folder, "data.parquet", {}, **sometimes_checked(draw))


def _odd_column(draw: Random, size: int) -> pa.Array:
    """Returns a column of any type, with nulls and extreme values in it."""
    moments = [datetime(2026, 11, 20) + timedelta(minutes=number) for number in range(size)]
    whole = [draw.randrange(100) for _ in range(size)]
    seconds = [FIRST + number for number in range(size)]
    choices: list[Callable[[], pa.Array]] = [
        lambda: pa.array(whole, draw.choice((pa.int8(), pa.uint8(), pa.int16(), pa.int32(), pa.uint64(), pa.int64()))),
        lambda: pa.array([float(one) for one in whole], draw.choice((pa.float16(), pa.float32(), pa.float64()))),
        lambda: pa.array([draw.choice((1.5, float("nan"), float("inf"), -0.0, 1e300, 7.0)) for _ in range(size)]),
        lambda: pa.array(seconds, draw.choice((pa.int64(), pa.uint32(), pa.uint64(), pa.float64()))),
        lambda: pa.array([one * draw.choice((1, 1000)) for one in seconds]),
        lambda: pa.array([draw.choice((2**63 - 1, -(2**63), 0, -1, FIRST)) for _ in range(size)], pa.int64()),
        lambda: pa.array([2**64 - 1 - one for one in whole], pa.uint64()),
        lambda: pa.array([Decimal(one) for one in whole], draw.choice((pa.decimal128(10, 0), pa.decimal256(60, 3)))),
        lambda: pa.array([str(one) for one in whole], draw.choice((pa.large_string(), pa.string()))),
        lambda: pa.array([str(one) for one in whole]).dictionary_encode(),
        lambda: pa.array(whole).dictionary_encode(),
        lambda: pa.array([draw.choice(mutate.ODD_TEXTS) for _ in range(size)]),
        lambda: pa.array([draw.choice(mutate.ODD_TEXTS).encode() + b"\xff" for _ in range(size)], pa.binary()),
        lambda: pa.array([bytes([one] * 16) for one in whole], pa.binary(16)),
        lambda: pa.array([one > 50 for one in whole]),
        lambda: pa.array([date(2026, 11, 1 + one % 28) for one in whole], draw.choice((pa.date32(), pa.date64()))),
        lambda: pa.array(
            moments, pa.timestamp(draw.choice(("s", "ms", "us", "ns")), draw.choice((None, "UTC", "Europe/Berlin")))
        ),
        lambda: pa.array([draw.choice((0, -(2**62), 2**62)) for _ in whole], pa.int64()).cast(
            pa.timestamp(draw.choice(("s", "ms", "us", "ns")))
        ),
        lambda: pa.array([time(one % 24) for one in whole], pa.time64("us")),
        lambda: pa.array([timedelta(seconds=one) for one in whole], pa.duration("us")),
        lambda: pa.array([[one] for one in whole]),
        lambda: pa.array([{"a": one} for one in whole]),
        lambda: pa.array([[("k", one)] for one in whole], pa.map_(pa.string(), pa.int64())),
        lambda: pa.nulls(size, draw.choice((pa.null(), pa.string(), pa.int64(), pa.timestamp("us")))),
        lambda: pa.array([f"{moment:%Y-%m-%dT%H:%M:%S}" for moment in moments]),
        lambda: pa.array([f"{moment:%Y%m%d}" for moment in moments]),
        lambda: pa.array([int(f"{moment:%Y%m%d}") for moment in moments]),
    ]
    column = draw.choice(choices)()
    if draw.random() < 0.3 and not pa.types.is_null(column.type):
        there = pa.array([draw.random() < 0.9 for _ in range(size)])
        column = pa.compute.if_else(there, column, pa.scalar(None, column.type)) if _selects(column.type) else column
    return column


def _selects(kind: pa.DataType) -> bool:
    return not (pa.types.is_nested(kind) or pa.types.is_dictionary(kind) or kind == pa.float16())


def make_types(draw: Random, folder: Path, prepared: Path) -> None:
    size = draw.choice((144, 144, 144, 1, 0))
    table = plain_table().slice(0, size)
    for name in draw.sample(NAMES, draw.choice((0, 1, 1, 2))):
        table = table.set_column(table.column_names.index(name), name, _odd_column(draw, size))
    for _ in range(draw.choice((0, 0, 1, 3))):
        table = table.append_column(draw.choice(ODD_NAMES), _odd_column(draw, size))
    if draw.random() < 0.2:
        table = table.select(draw.sample(range(table.num_columns), table.num_columns))
    config: dict[str, Any] = {}
    if draw.random() < 0.2:
        config["columns"] = {
            draw.choice(("user", "item", "timestamp")): draw.choice((*table.column_names, 0, 1, 7)) or "x"
        }
    if draw.random() < 0.15:
        config["columns"] = {**config.get("columns", {}), "segments": [draw.choice(table.column_names) or "x"]}
    if draw.random() < 0.15:
        config["columns"] = {**config.get("columns", {}), "sequence": draw.choice(table.column_names) or "x"}
    if draw.random() < 0.2:
        config["timestamp_unit"] = draw.choice(("s", "ms", "us", "ns", "yyyymmdd"))
    if draw.random() < 0.2:
        config["null_tokens"] = draw.choice((["0"], ["u00", "NULL"], [""], ["\\N"]))
    if draw.random() < 0.2:
        config["duplicates"] = "quarantine"
    parts = [table] if draw.random() < 0.8 else [plain_table(), table]
    source = "data.parquet" if len(parts) == 1 else "feed"
    for number, part in enumerate(parts):
        name = source if len(parts) == 1 else f"feed/{number}.parquet"
        (folder / name).parent.mkdir(exist_ok=True)
        try:
            (folder / name).write_bytes(written(part, draw))
        except (pa.ArrowException, ValueError):  # a type that Parquet does not know
            (folder / name).write_bytes(written(plain_table(), draw))
    describe(folder, source, config, **sometimes_checked(draw))


KINDS = (
    Kind("parquet-bytes", 500, make_bytes, read),
    Kind("parquet-types", 600, make_types, read),
)
