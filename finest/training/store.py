"""What training needs of a place for checkpoints; `storage` gives one for a folder and one for S3."""

from pathlib import Path
from typing import Protocol


class Store(Protocol):
    """Named blobs. A `put` is atomic: a reader sees the old blob or the new one. Implementations can be pickled to worker processes."""

    def put(self, name: str, file: Path) -> None:
        """Stores the file's content under `name` (parts joined by '/')."""

    def get(self, name: str, file: Path) -> bool:
        """Writes the blob to `file` and returns True, or returns False where there is none."""

    def list(self, prefix: str) -> list[str]:
        """Names that start with `prefix`, sorted."""

    def delete(self, prefix: str) -> None:
        """Removes all names that start with `prefix`; none is fine."""

    def lock(self, name: str) -> "Lock":
        """Exclusive use of `name` among the processes of this machine, where the place can give it; otherwise nothing."""


class Lock(Protocol):
    """A context manager."""

    def __enter__(self) -> object: ...

    def __exit__(self, *exception: object) -> None: ...
