"""How a text file is to be read: its encoding, separator and header, told from its start.

What DuckDB cannot read as it is (another encoding than UTF-8, blanks in any number, some compressions) is copied line
by line to a plain file on this machine, which it reads in its place.
"""

import codecs
import hashlib
import re
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Literal, NamedTuple

import pyarrow.fs as pafs

from finest.data.config import Columns, Ingest
from finest.data.layout import Found, Layout, places
from finest.data.opened import chunks, compression_of
from finest.data.separators import WHITESPACE, Sample, guess, sample, words
from finest.data.separators import start as begin
from finest.data.source import SourceFile
from finest.errors import ConfigError, DataError

TextFormat = Literal["csv", "tsv", "inter", "text"]

USUAL: dict[TextFormat, str] = {"csv": ",", "tsv": "\t", "inter": "\t", "text": ","}
"""The separator that a file's format speaks of."""
HEADER_BYTES = 1 << 20
"""Number of bytes in which a text file's header must end."""
MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32",  # before UTF-16's, which it begins with
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
"""Encodings by the mark that a file may begin with."""
MOVIELENS = Columns(user=0, item=1, timestamp=3)
"""The columns of MovieLens' files without a header: user, item, rating, timestamp."""


def found(
    filesystem: pafs.FileSystem, file: SourceFile, format: TextFormat, config: Ingest, copies: Path, copied: bool
) -> Found:
    """Reads a file's start.

    Args:
        filesystem: Where the file is.
        file: The file.
        format: Its format.
        config: What is known of it.
        copies: Folder for a copy, where it needs one.
        copied: Whether line ends of several kinds, which are made one in a copy, are looked for beyond the start.

    Raises:
        ConfigError: Columns are named though there is no header.
        DataError: The file is unreadable, or lacks a mapped column; it is named.
    """
    start, whole = _start(filesystem, file.path)
    is_text(file.path, start)
    encoding = next((name for mark, name in MARKS.items() if start.startswith(mark)), config.encoding)
    text = _decoded(file.path, start, encoding)
    if not whole:
        text = text.rpartition("\n")[0]
    before = begin(text)
    content = before.text
    if not content.strip(" \n"):
        if whole:
            return Found(file, None, [], [])
        raise DataError(f"{file.path}: the first line does not end within {HEADER_BYTES:,} bytes; is it a text file?")
    form = _form(file, content, format, config, before.separator)
    separator = form.sample.separator
    compression, copy = compression_of(file.path), None
    mixed = _mixed(iter([start.decode(encoding, "replace").removesuffix("\r")])) or (
        copied and _mixed(_decoding(filesystem, file.path, encoding))
    )
    if (
        codecs.lookup(encoding).name not in ("utf-8", "ascii")
        or compression in ("bz2", "zip")
        or separator == WHITESPACE
        or mixed
    ):
        copy = copies / f"{hashlib.sha256(file.path.encode()).hexdigest()}.txt"
        parts = _decoding(filesystem, file.path, encoding)
        _write(_lines(parts) if separator == WHITESPACE else _plain(parts) if mixed else parts, copy)
    layout = Layout(
        "text",
        tuple((role, str(place)) for role, place in form.places.items()),
        width=form.width,
        delimiter="\t" if separator == WHITESPACE else separator,
        quote="" if separator == WHITESPACE else _quote(format, config),
        header=form.header,
        skip=before.lines,
        compression=compression if copy is None and compression in ("gzip", "zstd") else "none",
    )
    rows = form.sample.records[form.header :]
    at = form.places["timestamp"]
    notes = list(form.notes)
    if codecs.lookup(encoding).name not in (codecs.lookup(config.encoding).name, "utf-8"):
        notes.append(f"the encoding is {encoding}, by the file's first bytes")
    if before.comments:
        notes.append(f"its first {before.comments} line(s) with # at the start are passed over")
    if mixed:
        notes.append("it has line ends of several kinds, all of which end a line")
    return Found(
        SourceFile(file.path, file.size, file.etag, copy), layout, [row[at] for row in rows if at < len(row)], notes
    )


class _Form(NamedTuple):
    """Says how lines become fields, and which of these have a role."""

    sample: Sample
    header: bool
    width: int
    places: dict[str, int]
    notes: list[str]


def _form(file: SourceFile, text: str, format: TextFormat, config: Ingest, named: str | None) -> _Form:
    """Tells separator and header from the text at a file's start, or takes those of the config.

    Args:
        file: The file.
        text: Its start, from the first record on.
        format: Its format.
        config: What is known of it.
        named: The separator, where the file names it.
    """
    names = {column for column in config.columns.roles.values() if isinstance(column, str)}
    header = config.header if config.header is not None else bool(names) or format == "inter"
    if names and not header:
        raise ConfigError(
            "ingest.header=false: columns without a header have no names; give their numbers from 0,"
            " like ingest.columns.user=0"
        )
    quote = _quote(format, config)
    separator = "\t" if format == "inter" else config.separator or named
    if separator is not None:
        cut = sample(text, separator, quote)
    else:
        cut = guess(
            text, quote, USUAL[format], lambda record: header and bool(names) and names <= set(map(str.strip, record))
        )
    notes = []
    if config.separator is None and format != "inter" and cut.separator != USUAL[format]:
        notes.append(f"fields are separated by {_said(cut.separator)} (ingest.separator says otherwise)")
    first = list(map(str.strip, cut.records[0])) if cut.records else [""]
    if format == "inter":  # name:type
        first = [name.rpartition(":")[0] or name for name in first]
    columns = config.columns
    if config.header is None and columns == Columns() and not names & set(first) and _movielens(cut):
        columns, header = MOVIELENS, False
        notes.append(
            "without a header, in the form of MovieLens: columns 0, 1 and 3 are user, item and timestamp"
            " (ingest.columns says otherwise)"
        )
    if header:
        return _Form(cut, True, len(first), places(file, first, columns, _is_header(first)), notes)
    width = cut.width
    return _Form(cut, False, width, places(file, [str(number) for number in range(width)], columns), notes)


def _quote(format: TextFormat, config: Ingest) -> str:
    return "" if format == "inter" or config.quote == "none" else config.quote


def _movielens(cut: Sample) -> bool:
    """Tells whether all records are user, item, rating and seconds, as numbers, cut as MovieLens cuts them."""
    row = re.compile(r"[0-9]+,[0-9]+,[0-9](\.[0-9])?,[0-9]{9,10}")
    return cut.separator in ("::", "\t") and all(row.fullmatch(",".join(record)) for record in cut.records)


def _is_header(record: list[str]) -> bool:
    """Tells whether a file's first record has words alone, as names have."""
    return not any(re.fullmatch(r"-?[0-9.]+", field) for field in record)


def _said(separator: str) -> str:
    return {WHITESPACE: "blanks and tabs", "\t": "tabs", " ": "single blanks"}.get(separator, repr(separator))


def _start(filesystem: pafs.FileSystem, path: str) -> tuple[bytes, bool]:
    """Returns the first bytes of a file, and whether these are all."""
    start = b""
    for chunk in chunks(filesystem, path):
        start += chunk
        if len(start) > HEADER_BYTES:
            return start, False
    return start, True


def _decoded(path: str, start: bytes, encoding: str) -> str:
    """Returns the text of a file's first bytes, with plain line ends.

    A byte that the encoding does not know is an error in the first line only, where names are, and where the file is
    copied anyway; in others, the row is set aside.
    """
    start = start.removeprefix(codecs.BOM_UTF8)
    decoder = codecs.getincrementaldecoder(encoding)
    try:
        text = decoder("strict").decode(start)
    except UnicodeError as error:
        line = start.lstrip(b"\r\n ")
        first = len(start) - len(line) + len(re.split(rb"[\r\n]", line, maxsplit=1)[0])
        at = error.start if isinstance(error, UnicodeDecodeError) else 0
        if at <= first or codecs.lookup(encoding).name != "utf-8":
            raise _undecodable(path, at, encoding, start) from None
        text = decoder("replace").decode(start)
    if start[:1000].count(0) > len(start[:1000]) // 4 and "\0" in text[:1000]:
        raise _undecodable(path, start.index(0), encoding, start)
    return re.sub(r"\r\n?", "\n", text)


BINARY = {
    b"\x1f\x8b": "gzip: end its name in .gz",
    b"\x28\xb5\x2f\xfd": "zstd: end its name in .zst",
    b"BZh": "bzip2: end its name in .bz2",
    b"PK\x03\x04": "a zip archive (.zip) or a spreadsheet, which is not read",
    b"\xfd7zXZ\x00": "xz, which is not read: unpack it",
    b"PAR1": "Parquet: end its name in .parquet, or set ingest.format=parquet",
    b"\xd0\xcf\x11\xe0": "a spreadsheet, which is not read: write it as CSV",
    b"SQLite format 3\x00": "an SQLite database, which is not read: write the table as CSV or Parquet",
    b"Obj\x01": "Avro, which is not read: write it as Parquet",
    b"ORC": "ORC, which is not read: write it as Parquet",
    b"ARROW1": "Arrow, which is not read: write it as Parquet",
}
"""What a file is that begins with these bytes, and what to do."""


def is_text(path: str, start: bytes) -> None:
    """Raises DataError for a file that is something else by its first bytes, decompressed."""
    if what := next((what for mark, what in BINARY.items() if start.startswith(mark)), None):
        raise DataError(f"{path}: is no text but, by its first bytes, {what}")
    line = re.split(rb"[\r\n]", start.lstrip(b"\xef\xbb\xbf \t\r\n"), maxsplit=1)[0]
    if re.match(rb'(\{\s*"|\{\Z|\[\s*(\{|\Z))', line):
        raise DataError(f"{path}: looks like JSON, which is not read; write it as Parquet or CSV")


def _undecodable(path: str, at: int, encoding: str, start: bytes) -> DataError:
    likely = "latin-1 or cp1252"
    if start[:1000].count(0) > len(start[:1000]) // 4:
        likely = "utf-16-le" if start[1:2] == b"\0" else "utf-16-be"
    return DataError(
        f"{path}: byte {at} is no text in {encoding.upper()}; set ingest.encoding to what the file is in, like {likely}"
    )


def _write(parts: Iterator[str], target: Path) -> None:
    """Writes a text as UTF-8, and bytes that were none as they were: the engine sets their rows aside."""
    with target.open("wb") as out:
        for text in parts:
            out.write(text.encode(errors="surrogateescape"))


def _decoding(filesystem: pafs.FileSystem, path: str, encoding: str) -> Iterator[str]:
    """Yields a file's text. Raises DataError for a byte that the encoding does not know, but for UTF-8."""
    keeps = codecs.lookup(encoding).name == "utf-8"
    decoder, read = codecs.getincrementaldecoder(encoding)("surrogateescape" if keeps else "strict"), 0
    for chunk in chain(chunks(filesystem, path), [b""]):
        waiting = len(decoder.getstate()[0])
        try:
            yield decoder.decode(chunk, final=not chunk)
        except UnicodeError as error:
            at = read - waiting + (error.start if isinstance(error, UnicodeDecodeError) else 0)
            raise _undecodable(path, at, encoding, chunk) from None
        read += len(chunk)


def _mixed(parts: Iterator[str]) -> bool:
    """Tells whether lines end in more than one of the usual ways."""
    return len(set(chain.from_iterable(re.findall(r"\r\n|\n|\r", text) for text in _unsplit(parts)))) > 1


def _plain(parts: Iterator[str]) -> Iterator[str]:
    """Yields a text with line feeds for line ends."""
    return (re.sub(r"\r\n?", "\n", text) for text in _unsplit(parts))


def _unsplit(parts: Iterator[str]) -> Iterator[str]:
    """Yields a text in parts that split no line end."""
    rest = ""
    for part in chain(parts, [""]):
        text = rest + part
        rest = "\r" if part and text.endswith("\r") else ""
        yield text.removesuffix("\r") if rest else text


def _lines(parts: Iterator[str]) -> Iterator[str]:
    """Yields lines with a tab in the place of blanks."""
    rest = ""
    for part in parts:
        *lines, rest = re.split(r"\r\n|\n|\r(?!\Z)", rest + part)
        yield from ("\t".join(words(line)) + "\n" for line in lines)
    if rest.strip():
        yield "\t".join(words(rest.rstrip("\r"))) + "\n"
