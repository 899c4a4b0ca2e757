"""Paths and file:// URIs: files of this machine."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

import pyarrow.fs as pafs

from finest.data.source import SourceFile
from finest.errors import DataError
from storage.folder import FolderStore
from storage.registry import CHECKPOINTS, OUTPUTS, SOURCES
from storage.source import Source, hidden


@SOURCES.register("file")
def source(uri: str) -> Source:
    """Returns one file, or the visible files of a folder at any depth. Raises DataError where there are none."""
    path = _path(uri)
    if path.is_file():
        return Source(uri, str(path.parent), pafs.LocalFileSystem(), [_described(path)])
    if not path.is_dir():
        raise DataError(f"{uri}: there is no such file or folder")
    found = [file for file in path.rglob("*") if file.is_file() and not hidden(file.relative_to(path).as_posix())]
    files = sorted((_described(file) for file in found), key=lambda file: file.path)
    if not files:
        raise DataError(f"{uri}: the folder holds no files")
    return Source(uri, str(path), pafs.LocalFileSystem(), files)


@CHECKPOINTS.register("file")
def checkpoints(uri: str) -> FolderStore:
    """Returns the store in a folder, which is made on the first write."""
    return FolderStore(_path(uri))


@OUTPUTS.register("file")
def output(uri: str) -> FolderStore:
    """Returns the place in a folder, which is made on the first write."""
    return FolderStore(_path(uri))


def _path(uri: str) -> Path:
    path = unquote(urlsplit(uri).path) if uri.startswith("file://") else uri
    return Path(path).expanduser().absolute()


def _described(path: Path) -> SourceFile:
    status = path.stat()
    return SourceFile(str(path), status.st_size, str(status.st_mtime_ns))
