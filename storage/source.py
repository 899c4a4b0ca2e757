"""Files of interactions, and what reads them."""

from collections.abc import Callable
from dataclasses import dataclass

import pyarrow.fs as pafs

from finest.data.source import SourceFile

SHOWN = 3
"""Number of names that a message shows of those that were left out."""
FOLDER_MARKER = "_$folder$"
"""Ending of the empty objects that Hadoop's older file systems put beside a folder."""


@dataclass(frozen=True)
class Source:
    """Files of interactions and the file system to read them with."""

    uri: str
    root: str
    """The folder that the files' names are relative to, as a path of the file system."""
    filesystem: pafs.FileSystem
    files: list[SourceFile]
    """Sorted by path."""
    passing: Callable[[BaseException], str | None] = lambda error: None
    """Says in words why an error of reading may be gone in a minute; returns None for one that will not."""
    left_out: tuple[str, ...] = ()
    """Names below the root, sorted, that are no data: see `hidden`. What lies in such a folder is not named apart."""
    table: str = ""
    """The table that the files are, like `Delta table, version 12`; empty for plain files."""


def hidden(name: str) -> str:
    """Returns the file or folder that makes a name below the root no data, as markers and logs are; '' where none does.

    It begins with '.' or '_', and is no partition, or is a marker of a folder.

    >>> hidden("dt=2026-11-24/_temporary/0/a.parquet"), hidden("_year=2026/a.parquet"), hidden("day_$folder$")
    ('dt=2026-11-24/_temporary', '', 'day_$folder$')
    """
    parts = name.split("/")
    for number, part in enumerate(parts, 1):
        if part.startswith(".") or (part.startswith("_") and "=" not in part) or part.endswith(FOLDER_MARKER):
            return "/".join(parts[:number])
    return ""


def without_files(left_out: tuple[str, ...]) -> str:
    """Returns what to add to the word that a place holds no files: that names were left out, and which; '' for none."""
    if not left_out:
        return ""
    if "_delta_log" in left_out:
        return "; the log of a Delta table is there, none of its files"
    shown = ", ".join(left_out[:SHOWN]) + (", ..." if len(left_out) > SHOWN else "")
    are = "1 name that begins with '.' or '_' is" if len(left_out) == 1 else f"{len(left_out)} such names are"
    return f"; {are} taken for a marker or log and left out ({shown}): rename what is data, or give the file itself"
