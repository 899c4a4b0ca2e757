"""Files and folders that a reader finds whole or not at all: written beside, synced to disk, then renamed.

Whoever is killed in the middle, or loses power, leaves what was there before. Writers of one name do not disturb each
other: each has a working folder of its own, `NAME.partial-RANDOM`, with a lock in it that the system frees when the
writer dies. What dead writers left is removed by the next writer of the name.
"""

import errno
import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

PARTIAL = ".partial-"
"""Stands in the name of every working folder: a path with it is no content."""
LOCK = "lock"
"""File in a working folder that its writer keeps locked."""


@contextmanager
def file(path: Path) -> Iterator[Path]:
    """Yields where to write the file that becomes `path` when the block ends well, and that vanishes otherwise.

    The name's ending is that of `path`. A `path` that exists is replaced at once.
    """
    with _partial(path) as partial:
        yield partial
        _sync(partial)
        partial.replace(path)
        _sync(path.parent)


@contextmanager
def folder(path: Path, replace: bool = False) -> Iterator[Path]:
    """Yields an empty folder that becomes `path` when the block ends well, and that vanishes otherwise.

    Args:
        path: The folder; it may exist if it is empty.
        replace: Put a folder that holds something out of the way first. A reader may find none at that moment.

    Raises:
        OSError: `path` holds something and is not to be replaced.
    """
    with _partial(path) as partial:
        partial.mkdir()
        yield partial
        for inner, _, files in os.walk(partial):
            for name in files:
                _sync(Path(inner, name))
            _sync(Path(inner))
        while True:
            try:
                partial.rename(path)
                break
            except OSError as error:
                if not replace or error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                    raise
            with suppress(FileNotFoundError):  # another writer was quicker
                path.rename(partial.with_name(f"old-{secrets.token_hex(8)}"))
        _sync(path.parent)


@contextmanager
def temporary(path: Path, mode: int) -> Iterator[Path]:
    """Yields an empty folder for files that nobody needs behind the block; its name begins like `path`.

    Args:
        path: Where it is; what dead users of that name left is removed.
        mode: The folder's permissions, whatever this process's mask says.
    """
    with _partial(path) as folder:
        folder.parent.chmod(0o755)
        folder.mkdir()
        folder.chmod(mode)
        yield folder


@contextmanager
def _partial(path: Path) -> Iterator[Path]:
    """Yields a path of the same name in a working folder of this writer, and removes the folder in the end."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_left(path)
    working, lock = _working_folder(path)
    try:
        yield working / path.name
    finally:
        lock.close()
        shutil.rmtree(working, ignore_errors=True)


def _working_folder(path: Path) -> tuple[Path, IO[bytes]]:
    """Makes a working folder for `path`. Returns it and its lock, which closing frees."""
    while True:
        working = path.with_name(f"{path.name}{PARTIAL}{secrets.token_hex(8)}")
        working.mkdir()
        with suppress(FileNotFoundError):  # removed by another writer, which had the lock first
            lock = (working / LOCK).open("ab")
            with suppress(OSError):  # a file system without locks: there, nobody is taken for dead
                fcntl.flock(lock, fcntl.LOCK_EX)
            if (working / LOCK).exists():
                return working, lock
            lock.close()


def _remove_left(path: Path) -> None:
    """Removes the working folders of writers of `path` that have died."""
    for working in path.parent.iterdir():
        if not working.name.startswith(path.name + PARTIAL):
            continue
        # Not there yet, the lock is made here, so that just one of the two has it. No error: the writer lives, or is
        # gone by now, or the file system has no locks.
        with suppress(OSError), (working / LOCK).open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(working, ignore_errors=True)


def _sync(path: Path) -> None:
    """Waits until a file's content, or a folder's list of names, is on disk."""
    place = os.open(path, os.O_RDONLY)
    try:
        os.fsync(place)
    except OSError as error:
        if error.errno != errno.EINVAL or not path.is_dir():  # some network file systems cannot sync a folder
            raise
    finally:
        os.close(place)
