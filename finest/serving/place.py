"""Defines what the lists' files need of the place that they are written to; `storage` has such places."""

from pathlib import Path
from typing import Protocol


class Place(Protocol):
    """Keeps files by their names, as others read them there. A reader sees the old file or the new one.

    Implementations can be pickled to worker processes.
    """

    def put(self, name: str, file: Path) -> None:
        """Stores the file's content under `name` (parts joined by '/'), in the place of what was there."""

    def get(self, name: str, file: Path) -> bool:
        """Writes what is stored to `file` and returns True, or returns False where there is nothing."""

    def delete(self, name: str) -> None:
        """Removes a file; none is fine."""
