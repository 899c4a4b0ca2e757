"""A pyarrow file system as DuckDB takes it: through fsspec, under a scheme of its own, without another listing."""

import re
import threading
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.fs as pafs
from fsspec import AbstractFileSystem

from finest.data.source import SourceFile

SCHEME = "source"
"""Scheme under which DuckDB knows the listed files."""
PREFIX = f"{SCHEME}://"


def opened_path(filesystem: pafs.FileSystem, file: SourceFile) -> str:
    """Returns the path under which DuckDB knows a file: as it is on this machine, under SCHEME elsewhere."""
    if file.copy is not None:
        return str(file.copy)
    return file.path if isinstance(filesystem, pafs.LocalFileSystem) else PREFIX + file.path


def duckdb_path(filesystem: pafs.FileSystem, file: SourceFile) -> str:
    """Returns the path that DuckDB is to open. A `*` in a file's name stands for that character and no pattern."""
    path = opened_path(filesystem, file)
    return path if path.startswith(PREFIX) else re.sub(r"([*?\[])", r"[\1]", path)


class Remote(AbstractFileSystem):  # type: ignore[misc]
    """Gives DuckDB the listed files, by `register_filesystem`."""

    protocol = SCHEME
    cachable = False

    def __init__(self, filesystem: pafs.FileSystem, files: Iterable[SourceFile]):
        """Takes the file system and the files that were listed there."""
        super().__init__()
        self._filesystem, self._sizes = filesystem, {file.path: file.size for file in files}

    def info(self, path: str, **options: Any) -> dict[str, Any]:
        """Returns name and size of a listed file. Raises FileNotFoundError for any other."""
        name = self._strip_protocol(path)
        if name not in self._sizes:
            raise FileNotFoundError(path)
        return {"name": name, "size": self._sizes[name], "type": "file"}

    def glob(self, path: str, **options: Any) -> list[str]:
        """Returns the path itself: names are taken as they are."""
        return [path]

    def modified(self, path: str) -> datetime:
        """Returns the same time for all files: they do not change while they are read."""
        return datetime.fromtimestamp(0, UTC)

    def _open(self, path: str, mode: str = "rb", **options: Any) -> "SharedFile":
        return SharedFile(self._filesystem.open_input_file(path))

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return path.removeprefix(PREFIX)


class SharedFile:
    """Reads a file for several threads of DuckDB at once.

    They have one handle together, and seek and read in two calls, with calls of other threads in between. So a seek is
    for the next read of the same thread; a read without one goes on where the last read, of any thread, ended.
    """

    def __init__(self, file: pa.NativeFile):
        """Takes the open file."""
        self._file, self._end, self._sought = file, 0, threading.local()

    def seek(self, offset: int) -> int:
        """Goes to a place, in bytes from the start, and returns it."""
        self._sought.offset = self._end = offset
        return offset

    def tell(self) -> int:
        """Returns the place where a read of this thread would begin, in bytes from the start."""
        return int(getattr(self._sought, "offset", self._end))

    def read(self, size: int) -> bytes:
        """Returns at most `size` bytes, fewer at the end of the file."""
        start = self.tell()
        content: bytes = self._file.read_at(size, start)
        self._end = start + len(content)
        self._sought.__dict__.clear()
        return content

    def close(self) -> None:
        """Closes the file."""
        self._file.close()
