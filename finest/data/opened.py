"""The bytes of a text file, however it is compressed."""

import re
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any, Literal

import pyarrow as pa
import pyarrow.fs as pafs

from finest.errors import DataError, FinestError, first_line

Compression = Literal["none", "gzip", "zstd", "bz2", "zip"]

COMPRESSED: dict[str, Compression] = {".gz": "gzip", ".zst": "zstd", ".bz2": "bz2", ".zip": "zip"}
"""Endings of compressed text files, behind that of their format."""
BINARY = {
    b"\x1f\x8b": "gzip: end its name in .gz",
    b"\x28\xb5\x2f\xfd": "zstd: end its name in .zst",
    b"BZh": "bzip2: end its name in .bz2",
    b"PK\x03\x04": "a zip archive (.zip) or a spreadsheet, which is not read",
    b"\xfd7zXZ\x00": "xz, which is not read: unpack it",
    b"PAR1": "Parquet: end its name in .parquet, or set ingest.format=parquet",
    b"\xd0\xcf\x11\xe0": "a spreadsheet, which is not read: write it as CSV",
    b"SQLite format 3\x00": "an SQLite database, which is not read: write the table as CSV or Parquet",
    b"Obj\x01": "Avro, which is not read: write it as Parquet",
    b"ORC": "ORC, which is not read: write it as Parquet",
    b"ARROW1": "Arrow, which is not read: write it as Parquet",
}
"""What a file is that begins with these bytes, and what to do."""
CHUNK = 1 << 20
"""Bytes that are read at a time."""


def compression_of(path: str) -> Compression:
    """Returns how a file is compressed, by its name."""
    return next((how for ending, how in COMPRESSED.items() if path.lower().endswith(ending)), "none")


def chunks(filesystem: pafs.FileSystem, path: str) -> Iterator[bytes]:
    """Yields the content of a file, decompressed.

    Raises:
        DataError: The file cannot be read, or is an archive of several files.
    """
    try:
        with _stream(filesystem, path) as stream:
            while chunk := stream.read(CHUNK):
                yield chunk
    except FinestError:
        raise
    except (
        pa.ArrowInvalid,
        OSError,
        EOFError,
        zipfile.BadZipFile,
        zlib.error,
        NotImplementedError,
        RuntimeError,
    ) as error:
        raise DataError(f"{path}: not readable ({first_line(error) or type(error).__name__})") from error


def member(filesystem: pafs.FileSystem, path: str) -> str:
    """Returns the name of the one file in a zip archive. Raises DataError where there are more, or none."""
    try:
        with filesystem.open_input_file(path) as file, zipfile.ZipFile(file) as archive:
            return _member(archive, path)
    except (pa.ArrowInvalid, OSError, EOFError, zipfile.BadZipFile, NotImplementedError) as error:
        raise DataError(f"{path}: not a readable zip archive ({first_line(error)})") from error


@contextmanager
def _stream(filesystem: pafs.FileSystem, path: str) -> Iterator[IO[bytes] | Any]:
    how = compression_of(path)
    if how == "zip":
        with (
            filesystem.open_input_file(path) as file,
            zipfile.ZipFile(file) as archive,
            archive.open(_member(archive, path)) as stream,
        ):
            yield stream
    else:
        with filesystem.open_input_stream(path, compression=None if how == "none" else how) as stream:
            yield stream


def _member(archive: zipfile.ZipFile, path: str) -> str:
    names = [entry.filename for entry in archive.infolist() if not entry.is_dir()]
    names = [name for name in names if not any(part.startswith((".", "__MACOSX")) for part in name.split("/"))]
    if len(names) != 1:
        listed = ", ".join(map(ascii, names[:10])) + (", ..." if len(names) > 10 else "")
        raise DataError(
            f"{path}: the archive holds {len(names)} files{': ' + listed if names else ''};"
            " unpack it into a folder, and give the file or the folder that is meant"
        )
    return names[0]


def require_text(path: str, start: bytes) -> None:
    """Raises DataError for a file that is something else by its first bytes, decompressed."""
    what = next((what for mark, what in BINARY.items() if start.startswith(mark)), None)
    if what and min(start[:1000]) < ord("\t"):  # a text may begin with such letters
        raise DataError(f"{path}: is no text but, by its first bytes, {what}")
    line = re.split(rb"[\r\n]", start.lstrip(b"\xef\xbb\xbf \t\r\n"), maxsplit=1)[0]
    if re.match(rb'(\{\s*"|\{\Z|\[\s*(\{|\Z))', line):
        raise DataError(f"{path}: looks like JSON, which is not read; write it as Parquet or CSV")
