"""A store for checkpoints in a folder of this machine, with locks between its processes."""

import logging
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import filelock

from finest import atomic, tree
from finest.atomic import PARTIAL

logger = logging.getLogger(__name__)

LOCKS = "locks"
"""Folder of the lock files, beside the blobs."""


@dataclass(frozen=True)
class FolderStore:
    """Keeps blobs as files, named by their paths below the folder. It is a finest.training.store.Store."""

    folder: Path

    def put(self, name: str, file: Path) -> None:
        """Copies `file` to `name`; a reader sees the old blob or the new one, and a crash leaves the old one."""
        with atomic.file(self.folder / name) as partial:
            shutil.copyfile(file, partial)

    def get(self, name: str, file: Path) -> bool:
        """Copies the blob to `file`. Returns False where there is none."""
        try:
            shutil.copyfile(self.folder / name, file)
        except FileNotFoundError:
            if (self.folder / name).exists():  # it is `file`'s folder that is missing
                raise
            return False
        return True

    def list(self, prefix: str) -> list[str]:
        """Returns the names that start with `prefix`, sorted."""
        return [name for name in self._names(prefix) if PARTIAL not in name]

    def delete(self, prefix: str) -> None:
        """Removes all names that start with `prefix`, what killed writers left of them, and folders that become empty.

        Locks stay: others may wait for them.
        """
        for name in self._names(prefix):
            path = self.folder / name
            path.unlink(missing_ok=True)
            for parent in path.parents[: name.count("/")]:
                try:
                    parent.rmdir()
                except OSError:  # not empty
                    break

    def lock(self, name: str) -> "FolderLock":
        """Returns a lock on `name` among the processes of this machine. The system frees it when its holder dies."""
        return FolderLock(self.folder / LOCKS / name.replace("/", "."))

    def _names(self, prefix: str) -> Sequence[str]:
        names = [path.relative_to(self.folder).as_posix() for path in tree.files(self.folder)]
        return [name for name in names if name.startswith(prefix) and not name.startswith(f"{LOCKS}/")]


@dataclass
class FolderLock:
    """A lock on a file that is waited for, and says so in the log. The file stays: who waits for it has it open."""

    path: Path
    _held: filelock.BaseFileLock | None = field(default=None, init=False, repr=False)

    def __enter__(self) -> "FolderLock":
        """Waits until no other process holds the lock, then holds it."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(self.path)
        try:
            lock.acquire(blocking=False)
        except filelock.Timeout:
            logger.info("waiting for another process to release %s", self.path)
            lock.acquire()
        self._held = lock
        return self

    def __exit__(self, *exception: object) -> None:
        """Frees the lock."""
        if self._held is not None:
            self._held.release()
            self._held = None
