"""Lists the files below a folder, through links too: what cannot be listed is an error, and never passed over."""

import os
from collections.abc import Iterator
from pathlib import Path

from finest.errors import DataError


def files(root: Path) -> list[Path]:
    """Returns the files below a folder at any depth, sorted; none where there is no such folder.

    Raises:
        DataError: A folder cannot be read, or a link leads nowhere or to a folder around it; it is named.
    """
    return sorted(_below(root, (os.path.realpath(root),)))


def _below(folder: Path, around: tuple[str, ...]) -> Iterator[Path]:
    try:
        entries = list(os.scandir(folder))
    except FileNotFoundError:  # removed since
        return
    except OSError as error:
        raise DataError(f"{folder}: the folder cannot be read ({error.strerror}); allow it, or move it away") from error
    for entry in entries:
        path = Path(entry.path)
        if entry.is_dir():
            real = os.path.realpath(path)
            if real in around:
                raise DataError(f"{path}: the link leads to a folder that it lies in; move it away")
            yield from _below(path, (*around, real))
        elif entry.is_file():
            yield path
        elif entry.is_symlink() and not path.exists():
            raise DataError(f"{path}: the link leads nowhere; mend it, or move it away")
