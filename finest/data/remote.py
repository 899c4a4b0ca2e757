"""A pyarrow file system as DuckDB takes it: through fsspec, under a scheme of its own, with a listing that is not asked for again."""

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
PREFIX = f"{SCHEME}://"


def duckdb_path(filesystem: pafs.FileSystem, path: str) -> str:
    """What DuckDB is to open; its own reading is for files of this machine. A `*` in a file's name is that character and no pattern."""
    if not isinstance(filesystem, pafs.LocalFileSystem):
        return PREFIX + path
    return re.sub(r"([*?\[])", r"[\1]", path)


def listed_path(filesystem: pafs.FileSystem, column: str) -> str:
    """SQL for the path as it was listed, where `column` holds what DuckDB has opened."""
    return column if isinstance(filesystem, pafs.LocalFileSystem) else f"substr({column}, {len(PREFIX) + 1})"


class Remote(AbstractFileSystem):  # type: ignore[misc]
    """The listed files, for `duckdb.register_filesystem`."""

    protocol = SCHEME
    cachable = False

    def __init__(self, filesystem: pafs.FileSystem, files: Iterable[SourceFile]):
        super().__init__()
        self._filesystem, self._sizes = filesystem, {file.path: file.size for file in files}

    def info(self, path: str, **options: Any) -> dict[str, Any]:
        """Of a listed file."""
        name = self._strip_protocol(path)
        if name not in self._sizes:
            raise FileNotFoundError(path)
        return {"name": name, "size": self._sizes[name], "type": "file"}

    def glob(self, path: str, **options: Any) -> list[str]:
        """The path itself: names are taken as they are."""
        return [path]

    def modified(self, path: str) -> datetime:
        """Unknown, and the same for all: the files do not change while they are read."""
        return datetime.fromtimestamp(0, UTC)

    def _open(self, path: str, mode: str = "rb", **options: Any) -> "SharedFile":
        return SharedFile(self._filesystem.open_input_file(path))

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return path.removeprefix(PREFIX)


class SharedFile:
    """A file that several threads of DuckDB read at once through one handle, seeking and reading in two calls with others' in between.

    So a seek is for the next read of the same thread; a read without one goes on where the last read, of any thread, ended.
    """

    def __init__(self, file: pa.NativeFile):
        self._file, self._end, self._sought = file, 0, threading.local()

    def seek(self, offset: int) -> int:
        """Bytes from the start."""
        self._sought.offset = self._end = offset
        return offset

    def tell(self) -> int:
        """Where a read of this thread would begin."""
        return int(getattr(self._sought, "offset", self._end))

    def read(self, size: int) -> bytes:
        """At most so many bytes, fewer at the end of the file."""
        start = self.tell()
        content: bytes = self._file.read_at(size, start)
        self._end = start + len(content)
        self._sought.__dict__.clear()
        return content

    def close(self) -> None:
        """Lets go of it."""
        self._file.close()
