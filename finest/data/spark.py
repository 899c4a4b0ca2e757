"""Spark as ingest's engine: for data that outgrow one machine, on files that all workers see."""

import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import chain
from pathlib import Path
from typing import Any, assert_never

import ibis
import ibis.expr.types as ir
import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from finest import atomic
from finest.data.config import SEGMENT, Ingest
from finest.data.engine import BATCH, MALFORMED
from finest.data.epoch import END
from finest.data.forms import SHIFT, Form, TimestampUnit
from finest.data.layout import FAULT, Kind, Layout, Layouts
from finest.data.source import SourceFile
from finest.errors import ConfigError, DataError, FinestError

SETTINGS = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.legacy.parquet.nanosAsLong": "true",  # Spark has no nanoseconds
    "spark.sql.adaptive.enabled": "true",
    "spark.ui.showConsoleProgress": "false",
}


class Spark:
    """Runs ingest in a Spark session, whose tables are Parquet in a folder that driver and workers share."""

    parses_apart = True
    """With the parsing inlined into what comes after, Spark's generated code outgrows what Java compiles."""

    def __init__(self, session: Any, folder: Path):
        self._session, self._folder = session, folder
        self._ibis = ibis.pyspark.connect(session)

    def read(self, layouts: Layouts, unit: TimestampUnit) -> ir.Table:
        """Returns a view of the files' rows, as Engine describes them. Reads Parquet alone."""
        faults = any(layout.faults for layout, _ in layouts)
        parts = [self._part(layout, files, unit, faults) for layout, files in layouts]
        self._session.sql(" UNION ALL ".join(parts)).createOrReplaceTempView("source")
        return self._ibis.table("source")

    def reads_again(self, layouts: Layouts) -> bool:
        """Returns True: the parsed rows are kept anyway."""
        return True

    def malformed(self) -> pa.Table:
        """Returns nothing: a Parquet file has no malformed records."""
        return MALFORMED.empty_table()

    def hold(self, name: str, rows: pa.Table) -> ir.Table:
        """Hands the rows to the session, and computes them into Parquet files like `keep`."""
        self._session.createDataFrame(rows).write.parquet(str(self._folder / name))
        return self._read(name)

    def keep(self, name: str, rows: ir.Table) -> ir.Table:
        """Computes the rows into Parquet files."""
        self._write(name, rows)
        # Read back, and not cached: a cached table keeps the way that it came about, which grows with every round of
        # the k-core.
        return self._read(name)

    def _read(self, name: str) -> ir.Table:
        self._session.read.parquet(str(self._folder / name)).createOrReplaceTempView(name)
        return self._ibis.table(name)

    def small(self, rows: ir.Table) -> pa.Table:
        """Computes the rows and returns them in the driver's memory."""
        found: pa.Table = self._session.sql(self._ibis.compile(rows)).toArrow()
        return found

    def batches(self, rows: ir.Table, by: list[str], among: ir.Table) -> Iterator[pa.RecordBatch]:
        """Yields the rows in order, from Parquet files that Spark has sorted them into."""
        self._write("sorted", rows.order_by(by))
        for part in sorted((self._folder / "sorted").glob("part-*.parquet")):  # Spark numbers them in order
            with pq.ParquetFile(part) as file:
                yield from file.iter_batches(BATCH)

    def _write(self, name: str, rows: ir.Table) -> None:
        self._session.sql(self._ibis.compile(rows)).write.parquet(str(self._folder / name))

    def _part(self, layout: Layout, files: list[SourceFile], unit: TimestampUnit, faults: bool) -> str:
        """Returns SQL for the rows of files of one layout, with FAULT where any layout has it."""
        paths = [str(file.copy or file.path) for file in files]
        read = self._session.read.option("recursiveFileLookup", "true")  # no partition columns
        rows = read.parquet(*(_as_is(path) for path in paths))
        view = f"part_{paths[0].encode().hex()}"
        columns = {role: rows[_name(column)] for role, column in layout.columns}
        if layout.faults:
            columns[FAULT] = rows[FAULT]
        rows.select(
            *(column.alias(role) for role, column in columns.items()),
            rows["_metadata.file_path"].alias("uri"),
            rows["_metadata.row_index"].alias("record"),
        ).createOrReplaceTempView(view)
        sequence = "CAST(sequence AS STRING)" if "sequence" in columns else "CAST(NULL AS STRING)"
        segments = "".join(
            f", nullif(CAST({role} AS STRING), '') AS {role}" for role in columns if role.startswith(SEGMENT)
        )
        if faults:
            segments += f", CAST({FAULT if layout.faults else 'NULL'} AS STRING) AS {FAULT}"
        type = dict(zip((role for role, _ in layout.columns), layout.types, strict=True))["timestamp"]
        micros, text = _time(layout.kind, type, unit)
        file = "url_decode(replace(regexp_replace(uri, '^file:/+', '/'), '+', '%2B'))"
        if copies := {str(file.copy): file.path for file in files if file.copy}:
            listed = ", ".join(map(_text, chain.from_iterable(copies.items())))
            file = f"element_at(map({listed}), {file})"
        return (
            f"SELECT {file} AS file, record, nullif(CAST(user AS STRING), '') AS user,"
            f" nullif(CAST(item AS STRING), '') AS item, nullif({text}, '') AS text, {micros} AS micros,"
            f" {sequence} AS sequence{segments} FROM {view}"
        )


def _time(kind: Kind, type: pa.DataType, unit: TimestampUnit) -> tuple[str, str]:
    """Returns SQL for a timestamp's microseconds where it is in range, and for its text where it is not."""
    column = "timestamp"
    if kind == "text":
        return "CAST(NULL AS BIGINT)", column
    if kind == "time":
        nanos = pa.types.is_timestamp(type) and type.unit == "ns"
        time = f"floor({column} / 1000)" if nanos else f"unix_micros(try_cast({column} AS TIMESTAMP))"
        micros = f"CASE WHEN {time} >= 0 AND {time} < {END} THEN {time} END"
        text = f"CAST(timestamp_micros({time}) AS STRING)"
        if not nanos:
            text = f"coalesce({text}, CAST({column} AS STRING))"
        return micros, f"CASE WHEN {micros} IS NULL THEN {text} END"
    if isinstance(unit, Form):
        return "CAST(NULL AS BIGINT)", _printed(column) if kind == "float" else f"CAST({column} AS STRING)"
    shift = SHIFT[unit]
    if kind == "integer":
        scaled = (
            f"CAST({column} AS BIGINT) * {10**shift}" if shift >= 0 else f"CAST({column} AS BIGINT) DIV {10**-shift}"
        )
        limit = END * 10**-shift if shift < 0 else END // 10**shift
        micros = f"CASE WHEN {column} >= 0 AND {column} < {limit} THEN {scaled} END"
        return micros, f"CASE WHEN {micros} IS NULL THEN CAST({column} AS STRING) END"
    if kind == "float":
        number = f"CAST({column} AS DOUBLE)"
        scaled = f"{number} * {10**shift}D" if shift >= 0 else f"{number} / {10**-shift}D"
        in_range = f"NOT isnan({number}) AND {number} >= 0 AND {scaled} < {END}"
        micros = f"CASE WHEN {in_range} THEN CAST(round({scaled}) AS BIGINT) END"
        return micros, f"CASE WHEN {micros} IS NULL THEN {_printed(column)} END"
    assert_never(kind)


def _printed(column: str) -> str:
    """Returns SQL for floating-point numbers as DuckDB writes them."""
    number = f"CAST({column} AS DOUBLE)"
    decimal = f"CAST(CAST({number} AS DECIMAL(38, 15)) AS STRING)"
    plain = rf"regexp_replace({decimal}, r'(\.[0-9]+?)0+\z', '$1')"
    return f"CASE WHEN isnan({number}) OR abs({number}) >= 1e16 THEN CAST({number} AS STRING) ELSE {plain} END"


def _text(value: str) -> str:
    quoted = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{quoted}'"


def _as_is(path: str) -> str:
    """Returns a path in which no character stands for others."""
    return "".join(f"\\{character}" if character in "\\*?[]{}" else character for character in path)


def _name(value: str) -> str:
    return "`" + value.replace("`", "``") + "`"


@contextmanager
def opened(filesystem: pafs.FileSystem, layouts: Layouts, config: Ingest, what: str) -> Iterator[Spark]:
    """Yields the engine, on the master and in the folder that the config names.

    Raises:
        ConfigError: The source is not Parquet in a folder, or pyspark is not installed.
        DataError: Spark would skip one of the files.
        FinestError: Spark has failed, in one line that names `what` is written.
    """
    if not isinstance(filesystem, pafs.LocalFileSystem):
        raise ConfigError(
            "ingest.engine=spark reads files of a folder that its workers share; set ingest.engine=duckdb for a store"
        )
    if text := next((files[0].path for layout, files in layouts if layout.format != "parquet"), None):
        raise ConfigError(
            f"{text}: ingest.engine=spark reads Parquet alone; convert the source, or set ingest.engine=duckdb"
        )
    if hidden := next(
        (file.path for _, files in layouts for file in files if Path(file.path).name.startswith(("_", "."))), None
    ):
        raise DataError(
            f"{hidden}: Spark skips names that begin with _ or . as hidden; rename it, or set ingest.engine=duckdb"
        )
    try:
        from py4j.protocol import Py4JError
        from pyspark.errors import PySparkException
        from pyspark.sql import SparkSession
    except ImportError as error:
        raise ConfigError("ingest.engine=spark needs pyspark and Java 17: pip install 'finest[spark]'") from error
    try:
        builder = SparkSession.builder.appName("finest ingest").master(config.spark_master)
        for name, value in SETTINGS.items():
            builder = builder.config(name, value)
        with shared(config, 0o777) as folder:
            session = builder.getOrCreate()
            try:
                session.sparkContext.setLogLevel("ERROR")
                yield Spark(session, folder)
            finally:
                session.stop()
    except (PySparkException, Py4JError) as error:
        raise FinestError(f"{what}: Spark ({config.spark_master}) failed: {_cause(error)}") from error


def shared(config: Ingest, mode: int) -> AbstractContextManager[Path]:
    """Yields a folder that driver and workers share; workers may be another user. ConfigError where there is none."""
    if config.spark_folder and not Path(config.spark_folder).is_dir():
        raise ConfigError(f"ingest.spark_folder: {config.spark_folder} is no folder; driver and workers must share one")
    return atomic.temporary(Path(config.spark_folder or tempfile.gettempdir(), "ingest"), mode)


def _cause(error: Exception) -> str:
    """Returns the last cause that a Java exception names, or its first line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    causes = [line.removeprefix("Caused by: ") for line in lines if line.startswith("Caused by: ")]
    return (causes or lines or [type(error).__name__])[-1 if causes else 0]
