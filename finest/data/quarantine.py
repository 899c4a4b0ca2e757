"""The rows that cannot be used, each with file, line and reason; a source that has too many of them is refused.

DuckDB numbers neither the rows that it reads nor, where fields span lines, those that it rejects. So the lines of a
text file are found here, by reading the file once more; only where something is wrong with it.
"""

import re
import sys
from collections import Counter
from collections.abc import Iterator
from itertools import chain, pairwise
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.fs as pafs

from finest.data import schema
from finest.data.clean import UNPARSABLE
from finest.data.config import Ingest
from finest.data.layout import Layout, Layouts
from finest.data.opened import chunks
from finest.errors import DataError

NO_ROWS = pa.table(
    {name: pa.array([], pa.string()) for name in ("file", "record", "reason", "user", "item", "timestamp")}
)
SWALLOWING = {"unquoted value", "line size over maximum"}
"""What DuckDB calls the fault of a record whose quote is not closed; it may take thousands of lines for one record
then."""
ENCODING = "invalid encoding"
"""What DuckDB calls the fault of a record that is no UTF-8."""


class Record(NamedTuple):
    """Tells where a record of a text file starts."""

    line: int
    """From 1."""
    byte: int
    """From 0."""
    open: bool
    """Whether its first line ends inside a quoted field."""


def table(
    filesystem: pafs.FileSystem, layouts: Layouts, rows: pa.Table, first: dict[str, int], malformed: pa.Table
) -> pa.Table:
    """Returns the quarantine's table, in QUARANTINE_SCHEMA, sorted by file and line.

    Args:
        filesystem: Where the files are.
        layouts: The files, by how they are read.
        rows: The unusable rows: file, record, reason, user, item, timestamp.
        first: The least record of each file.
        malformed: Records that no row could be made of, as the engine tells them.

    Raises:
        DataError: A quoted field is not closed and has swallowed the lines after it.
    """
    layout_of = {file.path: layout for layout, files in layouts for file in files}
    copies = {file.path: str(file.copy) for _, files in layouts for file in files if file.copy}
    parts = []
    for path in sorted({*rows["file"].unique().to_pylist(), *malformed["file"].unique().to_pylist()}):
        its_rows = rows.filter(pc.equal(rows["file"], path))
        its_malformed = malformed.filter(pc.equal(malformed["file"], path))
        faults, bytes_ = its_malformed["reason"].to_pylist(), its_malformed["byte"].to_pylist()
        ordinals = [record - first[path] for record in its_rows["record"].to_pylist()]
        if layout_of[path].format == "parquet":
            lines, broken = [*(ordinal + 1 for ordinal in ordinals)], list[Record]()
        else:
            where = pafs.LocalFileSystem() if path in copies else filesystem
            lines, broken = locate(where, copies.get(path, path), layout_of[path], ordinals, bytes_)
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


def check(quarantine: pa.Table, source_rows: int, malformed: pa.Table, config: Ingest) -> dict[str, int]:
    """Counts the rows by reason, the most frequent reason first.

    Args:
        quarantine: The rows that cannot be used.
        source_rows: Number of all rows.
        malformed: The records that no row could be made of, as the engine tells them.
        config: Says how many may be unusable.

    Raises:
        DataError: Too many of the source's rows are unusable, or all. Rows that repeat another do not count: a day that
            is delivered twice is no reason to fail.
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
        blanks = config.separator and isinstance(row[role], str) and row[role] != row[role].strip()
        like = f" {config.separator} "
        beside = f"; there are blanks beside it: leave out ingest.separator, or set it to {like!r}" if blanks else ""
        raise DataError(
            f"no row of the source has a readable timestamp: column {config.columns.timestamp!r}"
            " (ingest.columns.timestamp) must hold numbers (ingest.timestamp_unit), ISO 8601 times, or times as"
            f" ingest.timestamp_format says; example: {example}{beside}"
        )
    hint = ""
    if ENCODING in worst:
        byte = malformed.filter(pc.equal(malformed["reason"], ENCODING))["byte"][0]
        hint = f" (byte {byte}), which is not UTF-8: set ingest.encoding to what the file is in, like latin-1 or cp1252"
    share = unusable / source_rows
    if share > config.max_quarantined_share or unusable == source_rows:
        raise DataError(
            f"{share:.1%} of the source's {source_rows} rows cannot be used, more than"
            f" ingest.max_quarantined_share={config.max_quarantined_share} allows;"
            f" most often ({reasons[worst]}): {worst}, e.g. {example}{hint}"
        )
    return reasons


def locate(
    filesystem: pafs.FileSystem, path: str, layout: Layout, ordinals: list[int], faults: list[int]
) -> tuple[list[int | None], list[Record]]:
    """Finds the lines of a text file's rows and malformed records, by reading it from its start.

    Args:
        filesystem: Where the file is.
        path: The file.
        layout: How it is read.
        ordinals: Numbers of rows among the file's well-formed ones, from 0.
        faults: Bytes inside malformed records, ascending.

    Returns:
        The line of each row, None where a broken quote before it leaves it open; the malformed record of each fault.
    """
    wanted = set(ordinals)
    line_of: dict[int, int] = {}
    broken: list[Record] = []
    ordinal = -1 if layout.header else 0
    records = _records(filesystem, path, layout)
    for record, end in pairwise(chain(records, [Record(0, sys.maxsize, False)])):
        known = len(broken)
        while len(broken) < len(faults) and faults[len(broken)] < end.byte:
            broken.append(record)
        if len(broken) == known:
            if ordinal in wanted:
                line_of[ordinal] = record.line
            ordinal += 1
    return [line_of.get(ordinal) for ordinal in ordinals], broken


def _records(filesystem: pafs.FileSystem, path: str, layout: Layout) -> Iterator[Record]:
    """Yields every record's start, the header's too. Blank lines are no records."""
    delimiter, quote = re.escape(layout.delimiter.encode()), layout.quote.encode()
    opening = re.compile(rb"(?:^|(?<=%b))%b" % (delimiter, quote))
    closing = re.compile(rb"(?:[^%b]|%b%b)*%b(?!%b)" % ((quote or b" ",) * 5))

    def ends_inside(line: bytes, inside: bool) -> bool:
        place = 0
        while found := (closing.match if inside else opening.search)(line, place):
            inside, place = not inside, found.end()
        return inside

    inside, byte = False, 0
    for number, line in enumerate(_lines(chunks(filesystem, path)), start=1):
        starts = not inside and line.strip(b"\r\n") != b"" and number > layout.skip
        if quote and quote in line:
            inside = ends_inside(line, inside)
        if starts:
            yield Record(number, byte, inside)
        byte += len(line)


def _lines(parts: Iterator[bytes]) -> Iterator[bytes]:
    """Yields the lines with their ends, whichever these are."""
    rest = b""
    for chunk in parts:
        *whole, rest = (rest + chunk).splitlines(keepends=True)
        if rest.endswith(b"\n"):  # after a carriage return, the next chunk may begin with the rest of the line's end
            whole, rest = [*whole, rest], b""
        yield from whole
    if rest:
        yield rest
