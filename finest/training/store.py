"""Defines what training needs of a place for checkpoints; `storage` has such places.

It is apart from `checkpoint`, whose import takes torch's seconds.
"""

from pathlib import Path
from typing import Protocol


class Store(Protocol):
    """Keeps named blobs. A reader sees the old blob or the new one.

    Implementations can be pickled to worker processes.
    """

    def put(self, name: str, file: Path) -> None:
        """Stores the file's content under `name` (parts joined by '/')."""

    def get(self, name: str, file: Path) -> bool:
        """Writes the blob to `file` and returns True, or returns False where there is none."""

    def list(self, prefix: str) -> list[str]:
        """Returns the names that start with `prefix`, sorted."""

    def delete(self, prefix: str) -> None:
        """Removes all names that start with `prefix`; none is fine."""

    def lock(self, name: str) -> "Lock":
        """Gives exclusive use of `name` among this machine's processes, where the place can; otherwise does nothing."""


class Lock(Protocol):
    """Defines the context manager that holds a lock."""

    def __enter__(self) -> object: ...

    def __exit__(self, *exception: object) -> None: ...
