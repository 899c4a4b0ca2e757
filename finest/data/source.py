"""What ingest is given: files, without a word about where they lie or how they were found."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class SourceFile:
    """Describes a file of a source."""

    path: str
    """Path in the file system that comes with it."""
    size: int
    """Size in bytes."""
    etag: str
    """A text that changes with the file's content."""
    copy: Path | None = None
    """A file on this machine with the same rows, which engines read in its place."""
