"""Text sources: any separator, quoting, encoding and compression, changed in bytes, in rows, or in form alone."""

import bz2
import gzip
import io
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa

from finest.data import forms
from tests.fuzz import mutate
from tests.fuzz.kind import Kind
from tests.fuzz.sources import SECOND, Row, describe, known_fingerprint, plain_rows, prepare, read, sometimes_checked

NAMES = ("user_id", "item_id", "timestamp")
SEPARATORS = (",", "\t", ";", "|", "::", " ", "~", "\u00a7")


def compressed(content: bytes, ending: str, name: str = "data.csv") -> bytes:
    """Returns content as a file with that ending holds it."""
    if ending == ".gz":
        return gzip.compress(content, mtime=0)
    if ending == ".zst":
        return bytes(pa.Codec("zstd").compress(content, asbytes=True))
    if ending == ".bz2":
        return bz2.compress(content)
    if ending == ".zip":
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(zipfile.ZipInfo(name), content)
        return buffer.getvalue()
    return content


def text_of(rows: list[list[str]], separator: str = ",", quoted: bool = False, end: str = "\n") -> str:
    """Returns fields as text: all quoted, or those that must be."""

    def field(value: str) -> str:
        must = any(mark in value for mark in (separator, '"', "\n", "\r"))
        return '"' + value.replace('"', '""') + '"' if quoted or must else value

    return "".join(separator.join(map(field, row)) + end for row in rows)


def as_texts(rows: list[Row]) -> list[list[str]]:
    """Returns rows as fields, times in seconds."""
    return [[user, item, str(time // SECOND)] for user, item, time in rows]


def make_bytes(draw: Random, folder: Path, prepared: Path) -> None:
    separator = draw.choice(SEPARATORS)
    ending = draw.choice((".csv", ".csv", ".tsv", ".txt", ".dat", ".inter", ".CSV"))
    text = text_of([list(NAMES), *as_texts(plain_rows())], separator, draw.random() < 0.3, draw.choice(("\n", "\r\n")))
    encoding = draw.choice(("utf-8", "utf-8", "utf-8-sig", "utf-16", "latin-1"))
    content = text.encode(encoding)
    for _ in range(draw.choice((1, 1, 3))):
        content = mutate.of_bytes(draw, content)
    (folder / f"data{ending}").write_bytes(content)
    config: dict[str, Any] = {}
    if draw.random() < 0.3:
        config["separator"] = "whitespace" if separator == " " else separator
    if draw.random() < 0.3:
        config["encoding"] = draw.choice(("latin-1", "utf-8", "utf-16-le", "cp1252"))
    if draw.random() < 0.2:
        config["quote"] = draw.choice(("'", "none"))
    if draw.random() < 0.2:
        config["columns"] = draw.choice(({"user": 0, "item": 1, "timestamp": 2}, {"user": 1, "item": 0}))
    if draw.random() < 0.1:
        config["timestamp_unit"] = draw.choice(("s", "ms", "yyyymmdd"))
    describe(folder, f"data{ending}", config, **sometimes_checked(draw))


def make_rows(draw: Random, folder: Path, prepared: Path) -> None:
    """Values of some rows are odd, in a file whose form is right: all other rows must come through as they are."""
    rows = plain_rows()
    fields = as_texts(rows)
    touched = set(draw.sample(range(len(rows)), draw.randrange(1, 7)))
    odd = {place: _odd_row(draw, list(fields[place])) for place in touched}
    kept = [list(row) for place, row in enumerate(rows) if place not in touched]
    lines = [odd.get(place, row) for place, row in enumerate(fields)]
    if draw.random() < 0.2:
        lines.insert(draw.randrange(len(lines)), list(draw.choice(fields)))
    separator = draw.choice((",", ",", ";", "\t", "|"))
    text = text_of([list(NAMES), *lines], separator, draw.random() < 0.3, draw.choice(("\n", "\r\n")))
    (folder / "data.csv").write_bytes(text.encode("utf-8", "surrogatepass"))
    written = sorted({(row[0], row[1]) for row in lines if len(row) > 1})
    describe(folder, "data.csv", {"separator": separator}, untouched=kept, written=written)


def _odd_row(draw: Random, row: list[str]) -> list[str]:
    what = draw.random()
    if what < 0.65:
        row[draw.randrange(3)] = draw.choice(mutate.ODD_TEXTS)
    elif what < 0.75:
        row[draw.randrange(2)] += draw.choice(mutate.ODD_TEXTS)
    elif what < 0.85:
        draw.shuffle(row)
    elif what < 0.9:
        del row[draw.randrange(3)]
    elif what < 0.95:
        row.append(draw.choice(mutate.ODD_TEXTS))
    else:
        row[2] = str(draw.choice((10**9, 10**12, 10**15, 10**18, 20261120, 0, 1)) + draw.randrange(1000))
    return row


def make_forms(draw: Random, folder: Path, prepared: Path) -> None:
    """The same rows in another form: the result must be the very same."""
    rows = plain_rows()
    if draw.random() < 0.5:
        draw.shuffle(rows)
    order = draw.sample(range(3), 3)
    config: dict[str, Any] = {}
    header, spelled = draw.random() < 0.7, draw.choice((*SPELLED, draw.choice(FORMS)))
    if spelled in FORMS and draw.random() < 0.3:
        config["timestamp_format"] = spelled
    fields = [[user, item, _time(time, spelled)] for user, item, time in rows]
    more = draw.random() < 0.3
    names = list(NAMES)
    if draw.random() < 0.3:
        names = draw.choice((["User", "Produkt-\u00e4", "t"], ["a b", "'c'", "filename"], ["1", "0", "2"]))
        config["columns"] = dict(zip(("user", "item", "timestamp"), names, strict=True))
    if not header:
        config["columns"] = {role: order.index(place) for place, role in enumerate(("user", "item", "timestamp"))}
    table = [
        [row[place] for place in order] + (["x, y;z"] if more else []) for row in ([names] if header else []) + fields
    ]
    separator = draw.choice((",", ";", "\t", "|", "::"))
    end = draw.choice(("\n", "\r\n"))
    before = draw.choice(("", "", "", f"sep={separator}{end}", f"# exported{end}#{end}"))
    # Without quotes around them, fields must not have the separator; and one that is set has its blanks with it.
    blank = draw.choice(("", "", " ")) if not any(separator in field for row in table for field in row) else ""
    blanks = separator if separator == "\t" else blank + separator + blank
    ending = draw.choice(("", "", ".gz", ".zst", ".bz2", ".zip"))
    encoding = draw.choice(("utf-8", "utf-8-sig", "utf-16", "latin-1", "utf-32"))
    if encoding == "latin-1":
        config["encoding"] = "latin-1"
    parts = draw.choice((1, 1, 2, 3))
    begin = table[:1] if header else []
    body = table[len(begin) :]
    source = "data.csv" + ending
    for number in range(parts):
        quoted = draw.random() < 0.3 and not blank
        text = (
            before
            + text_of(begin, blanks, quoted, draw.choice((end, "\r\n")))
            + text_of(body[number::parts], blanks, quoted, end)
        )
        name = source if parts == 1 else f"feed/part-{number}.csv{ending}"
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(compressed(text.encode(encoding), ending))
    if draw.random() < 0.4:
        config["separator"] = blanks
    describe(folder, source if parts == 1 else "feed", config, fingerprint=known_fingerprint(prepared))


SPELLED = ("s", "ms", "us", "iso", "float", "zone")
FORMS = tuple(form for form, _ in forms._guessed() if "%M" in form)
"""How people write times, to the minute at least: the day of all rows can be no month."""


def _time(micros: int, spelled: str) -> str:
    moment = datetime.fromtimestamp(micros // SECOND, UTC)
    if spelled in FORMS:
        return moment.strftime(spelled)
    return {
        "s": str(micros // SECOND),
        "ms": str(micros // 1000),
        "us": str(micros),
        "float": f"{micros // SECOND}.0",
        "iso": f"{moment:%Y-%m-%dT%H:%M:%SZ}",
        "zone": f"{moment.astimezone():%Y-%m-%d %H:%M:%S%z}",
    }[spelled]


def make_compressed(draw: Random, folder: Path, prepared: Path) -> None:
    ending = draw.choice((".gz", ".zst", ".bz2", ".zip"))
    text = text_of([list(NAMES), *as_texts(plain_rows())])
    content = compressed(text.encode(), ending)
    what = draw.random()
    if what < 0.65:
        content = mutate.of_bytes(draw, content)
    elif what < 0.75:
        content = compressed(content, draw.choice((".gz", ".zst", ".bz2", ".zip")))
    elif what < 0.85:
        content += compressed(draw.choice((b"", b"\n", text.encode(), b"u,i\n")), ending)
    else:
        content = _odd_archive(draw, text.encode()) if ending == ".zip" else compressed(b"\0" * 5_000_000, ending)
    name = f"data{draw.choice(('.csv', '.txt', ''))}{ending}"
    (folder / name).write_bytes(content)
    describe(folder, name, {}, whole=known_fingerprint(prepared), **sometimes_checked(draw))


def _odd_archive(draw: Random, content: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(
        buffer, "w", draw.choice((zipfile.ZIP_STORED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA))
    ) as archive:
        for _ in range(draw.randrange(3)):
            name = draw.choice(
                ("data.csv", "../data.csv", "/data.csv", "a/", "__MACOSX/data.csv", ".x", "\u202edata.csv")
            )
            entry = zipfile.ZipInfo(name)
            entry.flag_bits |= draw.choice((0, 0, 1))
            archive.writestr(entry, content)
    return buffer.getvalue()


KINDS = (
    Kind("text-bytes", 600, make_bytes, read),
    Kind("text-rows", 700, make_rows, read),
    Kind("text-forms", 350, make_forms, read, prepare),
    Kind("compressed", 400, make_compressed, read, prepare),
)
