"""The text of a file: its encoding, told from its first bytes or said, and how its lines end."""

import codecs
import re
from collections.abc import Iterator
from functools import cache
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import pyarrow.fs as pafs

from finest.data.opened import chunks
from finest.data.separators import inside, words
from finest.errors import DataError

LONGEST = 1 << 22
"""Number of characters from which on a line, such as one with a quote that is never closed, is cut where it may."""
MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32",  # before UTF-16's, which it begins with
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
"""Encodings by the mark that a file may begin with."""


def decoded(path: str, start: bytes, encoding: str) -> str:
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


def _undecodable(path: str, at: int, encoding: str, start: bytes) -> DataError:
    likely = "latin-1 or cp1252"
    if start[:1000].count(0) > len(start[:1000]) // 4:
        likely = "utf-16-le" if start[1:2] == b"\0" else "utf-16-be"
    return DataError(
        f"{path}: byte {at} is no text in {encoding.upper()}; set ingest.encoding to what the file is in, like {likely}"
    )


def decoding(filesystem: pafs.FileSystem, path: str, encoding: str) -> Iterator[str]:
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


def write(parts: Iterator[str], target: Path) -> None:
    """Writes a text as UTF-8, and bytes that were none as they were: the engine sets their rows aside."""
    with target.open("wb") as out:
        for text in parts:
            out.write(text.encode(errors="surrogateescape"))


class Fields(NamedTuple):
    """Says what is between fields, and what they may be quoted by; an empty text: nothing."""

    separator: str
    quote: str


def mixed(parts: Iterator[str], fields: Fields) -> bool:
    """Tells whether lines end in more than one of the usual ways; what is quoted is no line's end."""
    found: set[str] = set()
    for text in _lines(parts, fields):
        ends = _ends(text)
        if len(found | ends) > 1:  # so they are looked at, which takes a hundred times as long
            ends = {match["end"] for match in _tokens(fields).finditer(text) if match["end"]}
        found |= ends
    return len(found) > 1


def _ends(text: str) -> set[str]:
    """Returns the ways in which lines end, those of quoted ones among them."""
    both = text.count("\r\n")
    counted = {"\r\n": both, "\n": text.count("\n") - both, "\r": text.count("\r") - both}
    return {end for end, count in counted.items() if count}


def plain(parts: Iterator[str], fields: Fields) -> Iterator[str]:
    """Yields a text with line feeds for line ends; what is quoted stays as it is."""
    for text in _lines(parts, fields):
        yield _tokens(fields).sub(lambda match: "\n" if match["end"] else match[0], text)


@cache
def _tokens(fields: Fields) -> re.Pattern[str]:
    """Returns what a line's end is told by: quoted fields, one that is not over yet, and line ends outside."""
    if not fields.quote:
        return re.compile(r"(?P<end>\r\n?|\n)")
    quote, separator = re.escape(fields.quote), re.escape(fields.separator)
    begun = rf"(?:(?<=\n)|(?<=\r)|(?<={separator})|\A){quote}{inside(fields.quote)}"
    return re.compile(rf"{begun}{quote}(?={separator}|[\r\n]|\Z)|{begun}\Z|(?P<end>\r\n?|\n)")


def _lines(parts: Iterator[str], fields: Fields) -> Iterator[str]:
    """Yields a text in parts of whole lines, as long as these are not longer than LONGEST."""
    rest = ""
    for part in parts:
        whole = 0
        for match in _tokens(fields).finditer(rest):
            if match["end"] and match.end() < len(rest):  # behind a last CR may come an LF
                whole = match.end()
        if len(rest) - whole > LONGEST:
            whole = len(rest) - rest.endswith("\r")
        yield rest[:whole]
        rest = rest[whole:] + part
    yield rest


def tabbed(parts: Iterator[str]) -> Iterator[str]:
    """Yields lines with a tab in the place of blanks."""
    rest = ""
    for part in parts:
        *lines, rest = re.split(r"\r\n|\n|\r(?!\Z)", rest + part)
        yield from ("\t".join(words(line)) + "\n" for line in lines)
    if rest.strip():
        yield "\t".join(words(rest.rstrip("\r"))) + "\n"
