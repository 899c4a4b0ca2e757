"""Files of interactions, and what reads them."""

from collections.abc import Callable
from dataclasses import dataclass

import pyarrow.fs as pafs

from finest.data.source import SourceFile


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


def hidden(name: str) -> bool:
    """Returns whether a name below the root is no data: a part of it begins with '.' or '_', as markers and logs do."""
    return any(part.startswith((".", "_")) for part in name.split("/"))
