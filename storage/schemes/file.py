"""Paths and file:// URIs: files of this machine."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

import pyarrow.fs as pafs

from finest.errors import DataError
from storage.folder import FolderStore
from storage.registry import CHECKPOINTS, OUTPUTS, SOURCES
from storage.source import Source, without_files
from storage.walk import described, walk


@SOURCES.register("file")
def source(uri: str) -> Source:
    """Returns one file, or the visible files of a folder at any depth.

    Raises:
        DataError: Nothing lies there, or something cannot be listed.
    """
    path = _path(uri)
    try:
        is_file, is_folder = path.is_file(), path.is_dir()
    except OSError as error:  # a folder above it is closed, a name is too long
        raise DataError(f"{uri}: cannot be looked at ({error.strerror})") from error
    if is_file:
        return Source(uri, str(path.parent), pafs.LocalFileSystem(), [described(str(path), path.stat())])
    if not is_folder:
        raise DataError(f"{uri}: {_what_is_there(path)}")
    listing = walk(str(path))
    left_out = tuple(sorted(listing.left_out))
    if not listing.files:
        raise DataError(f"{uri}: the folder holds no files{without_files(left_out)}")
    return Source(uri, str(path), pafs.LocalFileSystem(), listing.files, left_out=left_out)


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


def _what_is_there(path: Path) -> str:
    """Says why a path is no source."""
    if path.exists():
        return "neither a file nor a folder: what is piped can be read once only; write it to a file first"
    return "the link leads nowhere" if path.is_symlink() else "there is no such file or folder"
