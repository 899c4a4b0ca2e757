"""A part of a source that is read in seconds: some files, of large ones the start, in a folder of their own."""

import codecs
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from finest.data.columns import format_of
from finest.data.config import Ingest
from finest.data.encoded import MARKS
from finest.data.opened import COMPRESSED, chunks, compression_of, member, require_text
from finest.data.separators import cut
from finest.data.separators import start as begin
from finest.data.source import SourceFile
from finest.errors import DISK_FULL, DataError, first_line

FILES = 8
"""Number of files of a sample, evenly spaced by path."""
BYTES = 8 << 20
"""Bytes of text, decompressed, that are read of one file."""
ROWS = 200_000
"""Rows that are read of one Parquet file."""
SHOWN = 100
"""Number of rows that columns are told from."""


class Part(NamedTuple):
    """A file of the sample."""

    file: SourceFile
    """The copy, or the file itself where it is small and on this machine."""
    of: SourceFile
    whole: bool
    """Whether all of the file is in it."""
    rows: int | None
    """Number of rows of the whole file, where it says that."""


class Look(NamedTuple):
    """What a file's start says."""

    format: str
    names: list[str] | None
    """Names of its columns; None for text without a header."""
    rows: list[list[str]]
    """The first rows as text."""
    separator: str
    encoding: str


def spread(files: list[SourceFile], most: int) -> list[SourceFile]:
    """Returns at most so many files, two or more, evenly spaced, the first and the last among them."""
    if len(files) <= most:
        return files
    return [files[round(number * (len(files) - 1) / (most - 1))] for number in range(most)]


def kind_of(filesystem: pafs.FileSystem, file: SourceFile) -> str | None:
    """Returns a file's format by its name, that of what is in it for a zip archive; None where it says none."""
    format = format_of(file.path)
    if format is None and compression_of(file.path) == "zip":
        format = format_of(member(filesystem, file.path))
    return format


def part(filesystem: pafs.FileSystem, file: SourceFile, format: str, folder: Path, number: int) -> Part:
    """Copies a file's start to a folder, with the folders of its path. Raises DataError where it cannot be read."""
    local = isinstance(filesystem, pafs.LocalFileSystem)
    name = Path(file.path).name
    target = folder / f"part-{number}" / name
    if format == "parquet":
        return _parquet(filesystem, file, target, local)
    start = b""
    for chunk in chunks(filesystem, file.path):
        start += chunk
        if len(start) > BYTES:
            break
    require_text(file.path, start)
    whole = len(start) <= BYTES
    if not whole:
        start = _cut(start)
    stem = Path(member(filesystem, file.path)).name if compression_of(file.path) == "zip" else name
    for ending in COMPRESSED:
        stem = stem.removesuffix(ending)
    target = target.with_name(stem)
    target.parent.mkdir(parents=True)
    target.write_bytes(start)
    return Part(SourceFile(str(target), len(start), file.etag), file, whole, None)


def _parquet(filesystem: pafs.FileSystem, file: SourceFile, target: Path, local: bool) -> Part:
    with _opened(file.path, filesystem) as parquet:
        rows = parquet.metadata.num_rows
        if rows <= ROWS and local:
            return Part(file, file, True, rows)
        target.parent.mkdir(parents=True)
        with pq.ParquetWriter(target, parquet.schema_arrow) as writer:
            left = ROWS
            for batch in parquet.iter_batches(1 << 16):
                writer.write_batch(batch.slice(0, left))
                left -= min(left, len(batch))
                if not left:
                    break
    return Part(SourceFile(str(target), target.stat().st_size, file.etag), file, rows <= ROWS, rows)


@contextmanager
def _opened(path: str, filesystem: pafs.FileSystem) -> Iterator[pq.ParquetFile]:
    try:
        with pq.ParquetFile(path, filesystem=filesystem) as parquet:
            yield parquet
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        if isinstance(error, OSError) and error.errno in DISK_FULL:  # of the copy
            raise
        raise DataError(f"{path}: not a readable Parquet file ({first_line(error)})") from error


def _cut(start: bytes) -> bytes:
    """Returns whole lines, in encodings of one, two and four bytes a character."""
    wide = 4 if start.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)) else 1
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or start[:1000].count(0) > 250:
        wide = max(wide, 2)
    end = len(start) - len(start) % wide
    while end and b"\n" not in start[end - wide : end]:
        end -= wide
    return start[:end] if end else start


def look(file: SourceFile, format: str, given: Ingest) -> Look:
    """Returns what the start of a file of this machine says, and the config where it says more than its defaults.

    Raises DataError where it cannot be read.
    """
    local = pafs.LocalFileSystem()
    if format == "parquet":
        with _opened(file.path, local) as parquet:
            names = parquet.schema_arrow.names
            batch = next(parquet.iter_batches(SHOWN), None) if parquet.metadata.num_rows else None
        columns = [list(map(_text, column)) for column in batch.columns] if batch else []
        return Look(format, names, [list(row) for row in zip(*columns, strict=True)], "", "utf-8")
    start = next(chunks(local, file.path), b"")
    encoding = encoding_of(start) if given.encoding == Ingest().encoding else given.encoding
    text = codecs.getincrementaldecoder(encoding)("replace").decode(start).removeprefix("\ufeff")
    text = re.sub(r"\r\n?", "\n", text)
    if len(start) >= 1 << 20:
        text = text.rpartition("\n")[0]
    before = begin(text)
    quote = "" if format == "inter" or given.quote == "none" else given.quote
    usual = {"tsv": "\t", "inter": "\t"}.get(format, ",")
    found = cut(before, "\t" if format == "inter" else given.separator, quote, usual)
    records = found.records
    if not records:
        return Look(format, None, [], found.separator, encoding)
    if format == "inter":
        return Look(format, [name.rpartition(":")[0] or name for name in records[0]], records[1:], "\t", encoding)
    header = given.header
    if header is None:
        header = not any(re.fullmatch(r"-?[0-9][0-9.:TZ +-]*", field) for field in records[0])
    if not header:
        return Look(format, None, records, found.separator, encoding)
    return Look(format, list(map(str.strip, records[0])), records[1:], found.separator, encoding)


def encoding_of(start: bytes) -> str:
    """Returns the likeliest encoding of a text's first bytes."""
    for mark, name in MARKS.items():
        if start.startswith(mark):
            return name
    if start[:1000].count(0) > len(start[:1000]) // 4:
        return "utf-16-le" if start[1:2] == b"\0" else "utf-16-be"
    try:
        codecs.getincrementaldecoder("utf-8")("strict").decode(start)
    except UnicodeDecodeError:
        return "cp1252" if re.search(rb"[\x80\x82-\x8c\x8e\x91-\x9c\x9e\x9f]", start) else "latin-1"
    return "utf-8"


def _text(scalar: pa.Scalar) -> str:
    try:
        value = scalar.as_py()
    except (ValueError, OverflowError):  # a time that Python has not, or a text that is not UTF-8
        return f"({scalar.type} out of range)"
    if hasattr(value, "isoformat"):
        return str(value.isoformat())
    return "" if value is None else str(value)
