"""From a URI to the files that lie there."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pyarrow.fs as pafs

from finest.data.source import SourceFile
from finest.errors import ConfigError, DataError
from storage.source import Source, hidden


def resolve(uri: str) -> Source:
    """A local path or file:// URI of one file or of a folder, or s3://bucket/prefix; a folder's files are taken at any depth.

    In a folder, files and folders whose names begin with '.' or '_' (markers, logs) are left out, and nothing else: whether a file
    can be read is for ingest to say. Raises ConfigError for an unknown scheme, DataError where nothing lies there, FinestError for a
    server that refuses.
    """
    if not uri:
        raise ConfigError("no source is given; name a file or folder of interactions with --source")
    scheme = urlsplit(uri).scheme if "://" in uri else "file"
    if scheme not in RESOLVERS:
        known = ", ".join(f"{name}://" for name in RESOLVERS)
        raise ConfigError(f"{uri}: unknown kind of source {scheme}://; known are a path and {known}")
    return RESOLVERS[scheme](uri)


def listing_hash(source: Source) -> str:
    """sha256 over every file's name relative to the root, size and etag: it changes when the source does."""
    names = [[file.path.removeprefix(source.root).lstrip("/"), file.size, file.etag] for file in source.files]
    return hashlib.sha256(json.dumps(names).encode()).hexdigest()


def cut_off(uri: str, error: BaseException) -> str | None:
    """Why an error of reading what lies there may be gone in a minute, in words; None for one that will not."""
    if not uri.startswith("s3://"):
        return None
    from storage.s3.errors import passing

    return passing(error)


def _local(uri: str) -> Source:
    path = Path(unquote(urlsplit(uri).path) if uri.startswith("file://") else uri).expanduser().absolute()
    if path.is_file():
        return Source(uri, str(path.parent), pafs.LocalFileSystem(), [_described(path)])
    if not path.is_dir():
        raise DataError(f"{uri}: there is no such file or folder")
    found = [file for file in path.rglob("*") if file.is_file() and not hidden(file.relative_to(path).as_posix())]
    files = sorted((_described(file) for file in found), key=lambda file: file.path)
    if not files:
        raise DataError(f"{uri}: the folder holds no files")
    return Source(uri, str(path), pafs.LocalFileSystem(), files)


def _described(path: Path) -> SourceFile:
    status = path.stat()
    return SourceFile(str(path), status.st_size, str(status.st_mtime_ns))


def _s3(uri: str) -> Source:
    from storage.s3.source import resolve as resolve_s3  # boto3 is for those who use it

    return resolve_s3(uri)


RESOLVERS: dict[str, Callable[[str], Source]] = {"file": _local, "s3": _s3}
"""By scheme of the URI; a path without one is a file."""
