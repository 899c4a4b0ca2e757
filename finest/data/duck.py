"""DuckDB as ingest's engine: embedded, out of core, parallel."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import assert_never

import duckdb
import ibis
import ibis.expr.types as ir
import pyarrow as pa
import pyarrow.fs as pafs

from finest.data.config import SEGMENT
from finest.data.engine import BATCH, MALFORMED, AsItIsError
from finest.data.epoch import END
from finest.data.forms import SHIFT, Form, TimestampUnit, Unit
from finest.data.layout import FAULT, Layout, Layouts
from finest.data.packed import SECOND, Packing, packing
from finest.data.remote import PREFIX, Remote, duckdb_path, opened_path
from finest.data.source import SourceFile
from finest.errors import DataError, FinestError
from finest.secrets import masked


class DuckDB:
    """Runs ingest in a database of its own, and is a context manager. Threads do not change results."""

    parses_apart = False

    def __init__(
        self, filesystem: pafs.FileSystem, folder: Path, memory: str | None = None, threads: int | None = None
    ):
        """Opens the database.

        Args:
            filesystem: Where the files to read are.
            folder: Where the database is, and where it spills to.
            memory: DuckDB's limit, like "3GB"; None: 80% of what the machine or container has.
            threads: Number of threads; None: one a core.
        """
        settings: dict[str, object] = {"temp_directory": str(folder / "spill")}
        if memory is not None:
            settings["memory_limit"] = memory
        if threads is not None:
            settings["threads"] = threads
        self._filesystem = filesystem
        self._listed: dict[str, str] = {}
        """The path of a file as it was listed, by that under which DuckDB has opened it."""
        self._ibis = ibis.duckdb.connect(folder / "work.duckdb", **settings)
        # A time with a zone is cast in the session's zone.
        self._ibis.con.execute("SET enable_progress_bar = false; SET TimeZone = 'UTC'")

    def __enter__(self) -> "DuckDB":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ibis.disconnect()

    def read(self, layouts: Layouts, unit: TimestampUnit) -> ir.Table:
        """Returns a view of the files' rows, as Engine describes them."""
        if not isinstance(self._filesystem, pafs.LocalFileSystem):
            self._ibis.con.register_filesystem(
                Remote(self._filesystem, [file for _, files in layouts for file in files])
            )
        self._listed = {opened_path(self._filesystem, file): file.path for _, files in layouts for file in files}
        paths = sorted(set(self._listed.values()))
        # An enumeration takes a number a row, and sorts like the text. All is temporary: with a question mark in its
        # path, DuckDB looks for the log of what it keeps at another one.
        self._ibis.con.execute(f"CREATE TEMPORARY TYPE path AS ENUM ({', '.join(map(_text, paths))})")
        faults = any(layout.faults for layout, _ in layouts)
        parts = [_select(self._filesystem, layout, files, unit, faults) for layout, files in layouts]
        self._ibis.con.execute("CREATE TEMPORARY VIEW source AS " + " UNION ALL ".join(parts))
        return self._ibis.table("source")

    def reads_again(self, layouts: Layouts) -> bool:
        """Tells whether all files are Parquet and on this machine."""
        return isinstance(self._filesystem, pafs.LocalFileSystem) and all(
            layout.format == "parquet" for layout, _ in layouts
        )

    def malformed(self) -> pa.Table:
        """Returns what DuckDB has rejected in text files, in MALFORMED."""
        if not self._ibis.con.execute("SELECT 1 FROM duckdb_tables() WHERE table_name = 'reject_errors'").fetchall():
            return MALFORMED.empty_table()
        rejected = self._ibis.con.sql(
            "SELECT file_path AS file, min(byte_position)::BIGINT - 1 AS byte, min(lower(error_type)) AS reason"
            " FROM reject_errors JOIN reject_scans USING (scan_id, file_id)"
            " GROUP BY file_path, line ORDER BY file_path, byte"
        ).to_arrow_table()
        return rejected.set_column(0, "file", pa.array([self._listed[path] for path in rejected["file"].to_pylist()]))

    def hold(self, name: str, rows: pa.Table) -> ir.Table:
        """Returns a view of the rows, which stay where they are."""
        self._ibis.con.register(name, rows)
        return ibis.table(ibis.Schema.from_pyarrow(rows.schema), name=name)

    def keep(self, name: str, rows: ir.Table) -> ir.Table:
        """Computes the rows into a table of the database."""
        # Temporary tables are compressed only where they must go to disk. ibis's own create_table makes them in four
        # statements.
        self._ibis.con.execute(f"CREATE TEMPORARY TABLE {_name(name)} AS {self._ibis.compile(rows)}").fetchall()
        return ibis.table(rows.schema(), name=name)

    def small(self, rows: ir.Table) -> pa.Table:
        """Computes the rows and returns them in memory."""
        return self._ibis.to_pyarrow(rows)

    def batches(self, rows: ir.Table, by: list[str], among: ir.Table) -> Iterator[pa.RecordBatch]:
        """Yields the rows in order: sorted by numpy, as one number each, where they fit, and by DuckDB otherwise."""
        how = self._packing(among) if by == ["user", "time"] else None
        if how is None:
            # Not through ibis 12, whose reader fails on duckdb 2.
            yield from self._ibis.con.sql(self._ibis.compile(rows.order_by(by))).to_arrow_reader(BATCH)
        else:
            number = how.pack(rows.user.cast("int64"), rows.item.cast("int64"), rows.time)
            packed = self._ibis.con.sql(self._ibis.compile(rows.select(number=number))).fetchnumpy()["number"]
            yield from how.batches(packed)

    def _packing(self, rows: ir.Table) -> Packing | None:
        """Returns how to pack these rows into numbers, None where they do not fit."""
        bounds = {"users": rows.user.max(), "items": rows.item.max(), "first": rows.time.min(), "last": rows.time.max()}
        seconds = (rows.time % SECOND == 0).all()
        (found,) = self.small(rows.agg(rows=rows.count(), seconds=seconds, **bounds)).to_pylist()
        return packing(**found) if found["rows"] else None


UNREADABLE = duckdb.IOException, duckdb.InvalidInputException, duckdb.NotImplementedException
"""What DuckDB raises of files; its other errors are of the queries, and bugs."""
RAISED = re.compile(r"\w*(Error|Exception): ")
"""A line of DuckDB's message that tells of an exception in Python."""


def _select(
    filesystem: pafs.FileSystem, layout: Layout, files: list[SourceFile], unit: TimestampUnit, faults: bool
) -> str:
    """Returns SQL for the rows of files of one layout, as Engine.read describes them; with FAULT where any has it."""
    paths = "[" + ", ".join(_text(duckdb_path(filesystem, file)) for file in files) + "]"
    columns = {role: _name(column if layout.format == "parquet" else f"c{column}") for role, column in layout.columns}
    if layout.format == "parquet":
        source = f"read_parquet({paths}, filename = true, file_row_number = true, hive_partitioning = false)"
        record = "file_row_number"
    else:
        names = ", ".join(f"'c{number}': 'VARCHAR'" for number in range(layout.width))
        source = (
            f"read_csv({paths}, auto_detect = false, header = {layout.header}, delim = {_text(layout.delimiter)},"
            f" quote = {_text(layout.quote)}, escape = {_text(layout.quote)}, nullstr = '', columns = {{{names}}},"
            f" skip = {layout.skip}, compression = {_text(layout.compression)}, filename = true,"
            " hive_partitioning = false, store_rejects = true)"
        )
        record = "row_number() OVER ()"  # streams in file order: insertion order is preserved
    sequence = f"{columns['sequence']}::VARCHAR" if "sequence" in columns else "NULL::VARCHAR"
    micros = _micros(layout, columns["timestamp"], unit)
    shown = (
        # Without a zone; the farthest times have none.
        f"coalesce(TRY_CAST({columns['timestamp']} AS TIMESTAMP)::VARCHAR, {columns['timestamp']}::VARCHAR)"
        if layout.kind == "time"
        else columns["timestamp"]
    )
    text = shown if layout.kind == "text" else f"CASE WHEN {micros} IS NULL THEN {shown}::VARCHAR END"
    user, item = columns["user"], columns["item"]
    segments = "".join(
        f", nullif({column}::VARCHAR, '') AS {role}" for role, column in columns.items() if role.startswith(SEGMENT)
    )
    if faults:
        segments += f", {FAULT if layout.faults else 'NULL'}::VARCHAR AS {FAULT}"
    if layout.format == "parquet":  # a text file's empty fields are null already
        user, item, text = (f"nullif({value}::VARCHAR, '')" for value in (user, item, text))
    return (
        f"SELECT {_listed(filesystem, files)}::path AS file, {record}::BIGINT AS record,"
        f" {user} AS user, {item} AS item, {text} AS text, {micros} AS micros, {sequence} AS sequence{segments}"
        f" FROM {source}"
    )


def _listed(filesystem: pafs.FileSystem, files: list[SourceFile]) -> str:
    """Returns SQL for the path of a row's file as it was listed."""
    if any(file.copy for file in files):
        opened = [_text(opened_path(filesystem, file)) for file in files]
        listed = [_text(file.path) for file in files]
        # By place in an enumeration: a map is searched for each row.
        return f"([{', '.join(listed)}])[enum_code(filename::ENUM({', '.join(opened)})) + 1]"
    return "filename" if isinstance(filesystem, pafs.LocalFileSystem) else f"substr(filename, {len(PREFIX) + 1})"


def _micros(layout: Layout, column: str, unit: TimestampUnit) -> str:
    """Returns SQL for a timestamp's microseconds, null where it is out of range or only its text can tell."""
    if layout.kind == "time":
        time = f"epoch_us(TRY_CAST({column} AS TIMESTAMP))"
        return f"CASE WHEN {time} >= 0 AND {time} < {END} THEN {time} END"
    if isinstance(unit, Form):
        return "NULL::BIGINT"
    if layout.kind == "text":
        # As the number would be written: a cast reads '1e3' and ' 7' as well, which only clean.parsed may judge.
        number = f"TRY_CAST({column} AS BIGINT)"
        return f"CASE WHEN {number}::VARCHAR = {column} THEN {_scaled(number, unit)} END"
    if layout.kind == "integer":
        return _scaled(column, unit)
    if layout.kind == "float":
        shift = SHIFT[unit]
        scaled = f"{column}::DOUBLE * {10**shift}" if shift >= 0 else f"{column}::DOUBLE / {10**-shift}"
        return f"CASE WHEN isfinite({column}) AND {column} >= 0 AND {scaled} < {END} THEN round({scaled})::BIGINT END"
    assert_never(layout.kind)


def _scaled(number: str, unit: Unit) -> str:
    """Returns SQL for the microseconds of a whole number that is in range."""
    shift = SHIFT[unit]
    scaled = f"{number}::BIGINT * {10**shift}" if shift >= 0 else f"{number}::BIGINT // {10**-shift}"
    end = END * 10**-shift if shift < 0 else END // 10**shift
    return f"CASE WHEN {number} >= 0 AND {number} < {end} THEN {scaled} END"


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _name(value: str) -> str:
    return '"' + value.replace('"', '""') + '"'


@contextmanager
def opened(
    filesystem: pafs.FileSystem, folder: Path, what: str, memory: str | None, threads: int | None
) -> Iterator[DuckDB]:
    """Yields the engine, and makes one line of its failures, which name `what` is written."""
    with failures(what), DuckDB(filesystem, folder, memory, threads) as engine:
        yield engine


@contextmanager
def failures(what: str) -> Iterator[None]:
    """Makes one line of what DuckDB raises.

    Raises:
        FinestError: The disk is full, memory is too little, or the file system has failed.
        DataError: A file cannot be read (AsItIsError: not as it is).
    """
    try:
        yield
    except duckdb.Error as error:
        lines = [line.strip() for line in masked(str(error)).splitlines() if line.strip()]
        message = lines[0].replace(PREFIX, "")
        if raised := [line for line in lines if RAISED.match(line)]:  # by the file system, in Python
            raise FinestError(
                f"the source cannot be read: {raised[-1].partition(': ')[2].replace(PREFIX, '')}; run again later"
            ) from error
        if "No space left" in message or "max_temp_directory_size" in str(error):
            raise FinestError(
                f"{what}: the disk is full; free space there or choose another folder ({message})"
            ) from error
        if isinstance(error, duckdb.OutOfMemoryException):
            raise FinestError(f"{what}: not enough memory; give the step more ({message})") from error
        damaged = type(error) is duckdb.Error  # whatever its readers throw as they decompress and decode
        if not (damaged or isinstance(error, UNREADABLE)):
            raise
        if "Invalid string encoding" in message:
            raise AsItIsError(message) from error
        place = next((line for line in lines if line.startswith("file = ")), "")
        hint = "; is one of its files damaged? Write that anew" if damaged else ""
        kind = AsItIsError if "invalid state" in message else DataError  # of its parser: line ends of several kinds
        raise kind(f"the source cannot be read: {message}{' ' + place if place else ''}{hint}") from error
