"""Where in a text file a record is: DuckDB numbers neither the rows that it reads nor, where fields span lines, those that it rejects."""

import re
import sys
from collections.abc import Iterator
from itertools import chain, pairwise
from typing import NamedTuple

import pyarrow as pa
import pyarrow.fs as pafs

from finest.data.columns import COMPRESSED, DELIMITERS, Layout

CHUNK = 1 << 20


class Record(NamedTuple):
    """The start of a record: line from 1, byte from 0, and whether its first line ends inside a quoted field."""

    line: int
    byte: int
    open: bool


def locate(
    filesystem: pafs.FileSystem, path: str, layout: Layout, ordinals: list[int], faults: list[int]
) -> tuple[list[int | None], list[Record]]:
    """Line numbers of well-formed rows (None where a broken quote before them leaves it open), and the malformed record of each fault.

    `ordinals`: numbers of rows among the file's well-formed ones, from 0; `faults`: bytes inside malformed records, ascending. Reads the
    file from its start, so only where something is wrong with it.
    """
    wanted = set(ordinals)
    line_of: dict[int, int] = {}
    broken: list[Record] = []
    ordinal = -1  # the header's
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
    """Every record's start, the header's too. Blank lines are none."""
    delimiter = re.escape(DELIMITERS[layout.format].encode())
    opening, closing = re.compile(rb'(?:^|(?<=%b))"' % delimiter), re.compile(rb'(?:[^"]|"")*"(?!")')

    def ends_inside(line: bytes, inside: bool) -> bool:
        place = 0
        while found := (closing.match if inside else opening.search)(line, place):
            inside, place = not inside, found.end()
        return inside

    quotes = layout.format != "inter"
    inside, byte = False, 0
    compression = "gzip" if path.lower().endswith(COMPRESSED) else None
    with filesystem.open_input_stream(path, compression=compression) as stream:
        for number, line in enumerate(_lines(stream), start=1):
            starts = not inside and line.strip(b"\r\n") != b""
            if quotes and b'"' in line:
                inside = ends_inside(line, inside)
            if starts:
                yield Record(number, byte, inside)
            byte += len(line)


def _lines(stream: pa.NativeFile) -> Iterator[bytes]:
    rest = b""
    while chunk := stream.read(CHUNK):
        *whole, rest = (rest + chunk).splitlines(keepends=True)
        if rest.endswith(b"\n"):  # after a carriage return, the next chunk may begin with the rest of the line's end
            whole, rest = [*whole, rest], b""
        yield from whole
    if rest:
        yield rest
