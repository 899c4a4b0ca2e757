"""Which columns a source has, checked in every file before a row is read.

Otherwise, a column that is renamed in one file of many would become nulls.
"""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import Literal, NamedTuple

import pyarrow.fs as pafs

from finest.data import forms, from_parquet, from_text, units
from finest.data.config import Ingest
from finest.data.forms import DAYS, SHIFT, Form, TimestampUnit
from finest.data.layout import Found, Layouts
from finest.data.opened import compression_of, member
from finest.data.source import SourceFile
from finest.errors import ConfigError, DataError

Format = Literal["parquet", "csv", "tsv", "inter", "text"]

ENDINGS: dict[str, Format] = {
    ".parquet": "parquet",
    ".csv": "csv",
    ".tsv": "tsv",
    ".inter": "inter",
    ".tab": "tsv",
    ".txt": "text",
    ".dat": "text",
    ".data": "text",
    ".log": "text",
}


class Source(NamedTuple):
    """Holds what the start of every file tells."""

    layouts: Layouts
    unit: TimestampUnit
    """What timestamps are."""
    notes: list[str]
    """What was guessed, or is other than it is written, a sentence each."""


def format_of(path: str) -> Format | None:
    """Returns the format that a file name's ending says, None for an unknown one.

    >>> format_of("a/Clicks.CSV.gz"), format_of("u.data"), format_of("a.parquet.gz"), format_of("README")
    ('csv', 'text', None, None)
    """
    how = compression_of(path)
    name = path.lower() if how == "none" else path.lower().rpartition(".")[0]
    format = next((format for ending, format in ENDINGS.items() if name.endswith(ending)), None)
    return None if format == "parquet" and how != "none" else format


def check(
    filesystem: pafs.FileSystem, files: list[SourceFile], config: Ingest, copies: Path, copied: bool = False
) -> Source:
    """Reads every file's header and groups the files by layout, in the order of their paths.

    Args:
        filesystem: Where the files are.
        files: The files.
        config: What is known of them.
        copies: Folder for copies of files that engines would not read right; there as long as they read.
        copied: Whether files are copied that engines cannot read as they are: all Parquet files, so that values that
            are no text are told from others, and text with line ends of several kinds.

    Raises:
        ConfigError: A file name's ending says no format.
        DataError: A file is empty, unreadable or lacks a mapped column; it is named. No file has rows. Numeric
            timestamps would be taken for times of another unit.
    """
    files = sorted(files, key=lambda file: file.path)
    beside = next((PurePosixPath(file.path).name for file in files if format_of(file.path)), "")

    def its_start(file: SourceFile) -> Found:
        return _found(filesystem, file, config, beside, copies, copied)

    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(its_start, files))
    layouts: Layouts = [
        (layout, [its.file for its in found if its.layout == layout])
        for layout in dict.fromkeys(its.layout for its in found)
        if layout is not None
    ]
    if not layouts:
        raise DataError(f"the source holds no rows: {len(files)} file(s), the first is {files[0].path}")
    unit, notes = _unit(found, config)
    said = [(note, its.file.path) for its in found for note in its.notes]
    said += [("no rows", its.file.path) for its in found if its.layout is None]
    for note in dict.fromkeys(note for note, _ in said):
        notes.append(f"{_few(path for its, path in said if its == note)}: {note}")
    return Source(layouts, unit, notes)


def _found(
    filesystem: pafs.FileSystem, file: SourceFile, config: Ingest, beside: str, copies: Path, copied: bool
) -> Found:
    """Reads how a file is to be read from its name and its start; `beside` is a file whose ending says its format."""
    if file.size == 0:
        raise DataError(f"{file.path}: the file is empty")
    format = format_of(file.path) if config.format == "auto" else config.format
    if format is None and compression_of(file.path) == "zip":
        format = format_of(member(filesystem, file.path))
    if format is None and beside:
        raise ConfigError(
            f"{file.path}: by its ending ({', '.join(ENDINGS)}) no interactions, as {beside} beside it; give "
            "that file itself as the source, or move this one away"
        )
    if format is None:
        raise ConfigError(
            f"{file.path}: cannot tell the format from the ending ({', '.join(ENDINGS)}); set ingest.format"
        )
    if format == "parquet":
        if compression_of(file.path) != "none":
            raise DataError(f"{file.path}: a compressed Parquet file; unpack it, Parquet compresses by itself")
        return from_parquet.found(filesystem, file, config, copies, copied)
    return from_text.found(filesystem, file, format, config, copies, copied)


def _unit(found: list[Found], config: Ingest) -> tuple[TimestampUnit, list[str]]:
    """Returns what all files' timestamps are, and in words how it is known.

    Raises:
        DataError: Files differ in it, several forms are possible, or the config says a finer unit than a file can be
            in, so that its times would all be early in 1970.
    """
    times = {its.file.path: its.times for its in found}
    if config.timestamp_format is not None:
        return Form(config.timestamp_format), []
    if config.timestamp_unit == "yyyymmdd":
        return DAYS, []
    if config.timestamp_unit != "auto":
        unit = config.timestamp_unit
        for path, texts in times.items():
            guessed = units.guess(texts)
            if guessed and SHIFT[unit] < SHIFT[guessed] and not forms.guess(texts):
                raise DataError(
                    f"{path}: timestamps are {units.name(guessed)} ({units.example(texts, guessed)}), and as"
                    f" ingest.timestamp_unit={unit} all would be early in 1970; set it to {guessed}, or auto"
                )
        return unit, []
    guesses = {path: kinds for path, texts in times.items() if (kinds := units.kinds(texts))}
    path, possible = next(iter(guesses.items()), ("", list[TimestampUnit](["s"])))
    for other, kinds in guesses.items():
        both = [kind for kind in possible if kind in kinds]
        if not both:
            raise DataError(
                f"{other}: timestamps are {units.name(kinds[0])}, but {units.name(possible[0])} in {path}; have all"
                " files alike, or set ingest.timestamp_unit or ingest.timestamp_format, and other rows are set aside"
            )
        possible = both
    if len(possible) > 1:
        text = next(text for text in times[path] if forms.guess([text]))
        raise DataError(
            f"{path}: timestamps like {text} may be in the form {' or '.join(map(repr, map(str, possible)))};"
            " set ingest.timestamp_format to the right one"
        )
    kind = possible[0]
    if kind == "s":
        return kind, []
    option = "ingest.timestamp_format" if isinstance(kind, Form) else "ingest.timestamp_unit"
    return kind, [f"timestamps are {units.name(kind)} ({units.example(times[path], kind)}; {option} says otherwise)"]


def _few(paths: Iterable[str]) -> str:
    """Returns the first path's last part, and how many more there are."""
    first, *more = paths
    return PurePosixPath(first).name + (f" and {len(more)} more" if more else "")
