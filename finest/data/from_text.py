"""How a text file is to be read: its encoding, separator and header, told from its start.

What DuckDB cannot read as it is (another encoding than UTF-8, blanks in any number, some compressions) is copied line
by line to a plain file on this machine, which it reads in its place.
"""

import codecs
import hashlib
import re
from pathlib import Path
from typing import Literal, NamedTuple

import pyarrow.fs as pafs

from finest.data import separators
from finest.data.config import Columns, Ingest
from finest.data.encoded import MARKS, Fields, decoded, decoding, mixed, plain, tabbed, write
from finest.data.layout import Found, Layout, places
from finest.data.opened import chunks, compression_of, require_text
from finest.data.separators import WHITESPACE, Sample, Start
from finest.data.source import SourceFile
from finest.errors import ConfigError, DataError

TextFormat = Literal["csv", "tsv", "inter", "text"]

USUAL: dict[TextFormat, str] = {"csv": ",", "tsv": "\t", "inter": "\t", "text": ","}
"""The separator that a file's format speaks of."""
HEADER_BYTES = 1 << 20
"""Number of bytes in which a text file's header must end."""
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
    require_text(file.path, start)
    encoding = next((name for mark, name in MARKS.items() if start.startswith(mark)), config.encoding)
    text = decoded(file.path, start, encoding)
    if not whole:
        text = text.rpartition("\n")[0]
    before = separators.start(text)
    if not before.text.strip(" \n"):
        if whole:
            return Found(file, None, [], [])
        raise DataError(f"{file.path}: the first line does not end within {HEADER_BYTES:,} bytes; is it a text file?")
    form = _form(file, before, format, config)
    separator = form.sample.separator
    compression, copy = compression_of(file.path), None
    fields = Fields(separator, "" if separator == WHITESPACE else _quote(format, config))
    several = mixed(iter([start.decode(encoding, "replace").removesuffix("\r")]), fields) or (
        copied and mixed(decoding(filesystem, file.path, encoding), fields)
    )
    if (
        codecs.lookup(encoding).name not in ("utf-8", "ascii")
        or compression in ("bz2", "zip")
        or separator == WHITESPACE
        or several
    ):
        copy = copies / f"{hashlib.sha256(file.path.encode()).hexdigest()}.txt"
        parts = decoding(filesystem, file.path, encoding)
        write(tabbed(parts) if separator == WHITESPACE else plain(parts, fields) if several else parts, copy)
    layout = Layout(
        "text",
        tuple((role, str(place)) for role, place in form.places.items()),
        width=form.width,
        delimiter="\t" if separator == WHITESPACE else separator,
        quote=fields.quote,
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
    if several:
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


def _form(file: SourceFile, begin: Start, format: TextFormat, config: Ingest) -> _Form:
    """Tells separator and header from the text at a file's start, or takes those of the config.

    Args:
        file: The file.
        begin: Its start.
        format: Its format.
        config: What is known of it.
    """
    names = {column for column in config.columns.roles.values() if isinstance(column, str)}
    header = config.header if config.header is not None else bool(names) or format == "inter"
    if names and not header:
        raise ConfigError(
            "ingest.header=false: columns without a header have no names; give their numbers from 0,"
            " like ingest.columns.user=0"
        )
    quote = _quote(format, config)
    cut = separators.cut(
        begin,
        "\t" if format == "inter" else config.separator,
        quote,
        USUAL[format],
        lambda record: header and bool(names) and names <= set(map(str.strip, record)),
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
