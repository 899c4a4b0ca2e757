"""The rows that cannot be used, each with its file, line and reason, and the refusal of a source that has too many of them."""

from collections import Counter

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.fs as pafs

from finest.data import schema
from finest.data.clean import UNPARSABLE
from finest.data.columns import Layouts
from finest.data.config import Ingest
from finest.data.lines import Record, locate
from finest.errors import DataError

NO_ROWS = pa.table(
    {name: pa.array([], pa.string()) for name in ("file", "record", "reason", "user", "item", "timestamp")}
)
SWALLOWING = {"unquoted value", "line size over maximum"}
"""What DuckDB calls the fault of a record whose quote is not closed; it may take thousands of lines for one record then."""


def table(
    filesystem: pafs.FileSystem, layouts: Layouts, rows: pa.Table, first: dict[str, int], malformed: pa.Table
) -> pa.Table:
    """QUARANTINE_SCHEMA, sorted by file and line.

    `rows`: file, record, reason, user, item, timestamp; `first`: the least record of each file; `malformed`: as the engine tells it.
    Raises DataError for a quoted field that is not closed and has swallowed the lines after it.
    """
    layout_of = {file.path: layout for layout, files in layouts for file in files}
    parts = []
    for path in sorted({*rows["file"].unique().to_pylist(), *malformed["file"].unique().to_pylist()}):
        its_rows = rows.filter(pc.equal(rows["file"], path))
        its_malformed = malformed.filter(pc.equal(malformed["file"], path))
        faults, bytes_ = its_malformed["reason"].to_pylist(), its_malformed["byte"].to_pylist()
        ordinals = [record - first[path] for record in its_rows["record"].to_pylist()]
        if layout_of[path].format == "parquet":
            lines, broken = [*(ordinal + 1 for ordinal in ordinals)], list[Record]()
        else:
            lines, broken = locate(filesystem, path, layout_of[path], ordinals, bytes_)
        for fault, record in zip(faults, broken, strict=True):
            if fault in SWALLOWING and record.open:
                raise DataError(
                    f"{path}:{record.line}: a quoted field is not closed on its line and swallows the lines after it"
                )
        nothing = pa.nulls(len(broken), pa.string())
        lines += [record.line for record in broken]
        columns = [pa.array([path] * len(lines), pa.string()), pa.array(lines, pa.int64())]
        for name in ("reason", "user", "item", "timestamp"):
            more = (
                pa.array([f"malformed line ({fault})" for fault in faults], pa.string())
                if name == "reason"
                else nothing
            )
            columns.append(pa.chunked_array([*its_rows[name].cast(pa.string()).chunks, more], pa.string()))
        parts.append(pa.table(columns, schema=schema.QUARANTINE_SCHEMA).sort_by("line"))
    return pa.concat_tables(parts) if parts else schema.QUARANTINE_SCHEMA.empty_table()


def check(quarantine: pa.Table, source_rows: int, config: Ingest) -> dict[str, int]:
    """Rows by reason, the most frequent first. Raises DataError where too many, or all, of the source's rows are unusable.

    A day that is delivered twice is no reason to fail: rows that repeat another do not count.
    """
    reasons = dict(sorted(Counter(quarantine["reason"].to_pylist()).items(), key=lambda pair: (-pair[1], pair[0])))
    unusable = len(quarantine) - reasons.get(schema.DUPLICATE, 0)
    if not unusable:
        return reasons
    worst = next(reason for reason in reasons if reason != schema.DUPLICATE)
    row = quarantine.filter(pc.equal(quarantine["reason"], worst)).slice(0, 1).to_pylist()[0]
    role = worst.split()[0]
    value = f", value {row[role]!r}" if role in row and row[role] is not None else ""
    example = f"{row['file']}:{row['line']}{value}"
    if unusable == source_rows and worst == UNPARSABLE:
        raise DataError(
            f"no row of the source has a readable timestamp: column {config.columns.timestamp!r} (ingest.columns.timestamp) must hold"
            f" plain decimal numbers (ingest.timestamp_unit) or ISO 8601 times; example: {example}"
        )
    share = unusable / source_rows
    if share > config.max_quarantined_share or unusable == source_rows:
        raise DataError(
            f"{share:.1%} of the source's {source_rows} rows cannot be used, more than"
            f" ingest.max_quarantined_share={config.max_quarantined_share} allows; most often ({reasons[worst]}): {worst}, e.g. {example}"
        )
    return reasons
