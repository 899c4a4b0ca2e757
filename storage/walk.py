"""Lists a folder of this machine: every file, through links too, or one line on what cannot be listed."""

import os
import stat
from dataclasses import dataclass, field

from finest.data.source import SourceFile
from finest.errors import DataError
from storage.source import hidden


@dataclass
class Listing:
    """Holds what lies below a folder."""

    files: list[SourceFile] = field(default_factory=list)
    left_out: set[str] = field(default_factory=set)
    """Names below the folder that are no data, as `hidden` says it."""


def walk(root: str) -> Listing:
    """Lists the files of a folder at any depth.

    Links are followed, to files and to folders. One to what this folder holds under a name of its own adds nothing: a
    link `latest` beside the days would read a day twice, and one to the folder itself would never end.

    Raises:
        DataError: A folder cannot be read, a link leads nowhere or to a folder around it, something is neither a file
            nor a folder, or a name is not UTF-8; it is named.
    """
    top, listing = os.path.realpath(root), Listing()
    folders: list[tuple[str, str, tuple[str, ...]]] = [(root, "", (top,))]
    while folders:
        folder, below, around = folders.pop()
        try:
            with os.scandir(folder) as found:
                entries = list(found)
        except OSError as error:
            raise DataError(
                f"{_shown(folder)}: the folder cannot be read ({error.strerror}); allow it, or move it away"
            ) from error
        for entry in entries:
            name = f"{below}{entry.name}"
            if hidden(entry.name):
                listing.left_out.add(_shown(name))
                continue
            try:
                name.encode()
                status = entry.stat()
            except UnicodeEncodeError:
                raise DataError(f"{_shown(entry.path)}: the name is not UTF-8; rename it") from None
            except OSError as error:
                what = "the link leads nowhere" if entry.is_symlink() else "it cannot be looked at"
                raise DataError(f"{entry.path}: {what} ({error.strerror}); mend it, or move it away") from error
            if entry.is_symlink():
                real = os.path.realpath(entry.path)
                if _has_own_name(real, top) or real in around:
                    continue
                if any(outer.startswith(f"{real.rstrip('/')}/") for outer in around):
                    raise DataError(f"{entry.path}: the link leads to a folder that it lies in; move it away")
            if stat.S_ISDIR(status.st_mode):
                inside = (*around, real) if entry.is_symlink() else around
                folders.append((entry.path, f"{name}/", inside))
            elif stat.S_ISREG(status.st_mode):
                listing.files.append(described(entry.path, status))
            else:
                raise DataError(f"{entry.path}: neither a file nor a folder; move it away")
    listing.files.sort(key=lambda file: file.path)
    return listing


def described(path: str, status: os.stat_result) -> SourceFile:
    """Describes a file; the time of its last change stands for an etag."""
    return SourceFile(path, status.st_size, str(status.st_mtime_ns))


def _has_own_name(real: str, top: str) -> bool:
    """Tells whether what a link leads to is listed without it."""
    return real == top or (real.startswith(f"{top.rstrip('/')}/") and not hidden(os.path.relpath(real, top)))


def _shown(path: str) -> str:
    r"""Returns a path that can be printed: a byte that is no UTF-8 stands as \xff."""
    return os.fsencode(path).decode(errors="backslashreplace")
