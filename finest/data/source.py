"""What ingest is handed: files, without a word about where they lie or how they were found."""

from dataclasses import dataclass


@dataclass(frozen=True)
class SourceFile:
    """A file of a source: its path in the file system that comes with it, its size in bytes, a text that changes with its content."""

    path: str
    size: int
    etag: str
