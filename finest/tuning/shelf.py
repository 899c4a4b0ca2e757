"""A part of a store: the checkpoints of one trial, which go together once it is over."""

from dataclasses import dataclass
from pathlib import Path

from finest.training.store import Lock, Store


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

    def list(self, prefix: str) -> list[str]:
        """Returns the names that start with `prefix`."""
        return [name.removeprefix(self.prefix) for name in self.store.list(self.prefix + prefix)]

    def delete(self, prefix: str) -> None:
        """Removes everything under the prefix; all where it is empty."""
        self.store.delete(self.prefix + prefix)

    def lock(self, name: str) -> Lock:
        """Returns a lock that one process at a time can hold."""
        return self.store.lock(self.prefix + name)
