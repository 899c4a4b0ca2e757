"""A part of a store: the checkpoints of one trial, which go together once it is over."""

import logging
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from finest import sealed
from finest.training.store import Lock, Store

logger = logging.getLogger(__name__)

LAST = f"\n{sealed.UNSTAMPED}".encode()
"""Last line of a note: the digest of what is before it."""


@dataclass(frozen=True)
class Shelf:
    """Keeps blobs in another store, under a prefix. It is a finest.training.store.Store."""

    store: Store
    prefix: str
    """Ends in '/'."""

    def put(self, name: str, file: Path) -> None:
        """Stores the file's content."""
        self.store.put(self.prefix + name, file)

    def get(self, name: str, file: Path) -> bool:
        """Writes the blob to the file. Returns whether it was there."""
        return self.store.get(self.prefix + name, file)

    def note(self, name: str, file: Path) -> None:
        """Stores the content of a file that has no stamp, with one."""
        with tempfile.TemporaryDirectory() as folder:
            whole = Path(folder) / "note"
            shutil.copyfile(file, whole)
            with whole.open("ab") as content:
                content.write(LAST)
            sealed.stamp(whole, self.prefix + name)
            self.put(name, whole)

    def noted(self, name: str, file: Path) -> bool:
        """Writes to the file what `note` stored. Returns whether it was there, and whole.

        What is damaged is removed with everything else of the shelf, since nobody knows what that belongs to.
        """
        if not self.get(name, file):
            return False
        if not sealed.stamped(file, self.prefix + name):
            file.unlink()
            logger.warning(
                "%s%s is damaged: it is not what was saved; it is removed, and begins anew", self.prefix, name
            )
            self.delete("")
            return False
        with file.open("r+b") as content:
            content.truncate(file.stat().st_size - len(LAST))
        return True

    def list(self, prefix: str) -> list[str]:
        """Returns the names that start with `prefix`."""
        return [name.removeprefix(self.prefix) for name in self.store.list(self.prefix + prefix)]

    def delete(self, prefix: str) -> None:
        """Removes everything under the prefix; all where it is empty."""
        self.store.delete(self.prefix + prefix)

    def lock(self, name: str) -> Lock:
        """Returns a lock that one process at a time can hold."""
        return self.store.lock(self.prefix + name)
