"""Config of the step `recommend`: where the champion's lists go."""

from pydantic import Field

from finest.section import Address, Section


class Recommend(Section):
    """Says where lists of the champion for all users go, and how long they are. A run makes them once it has promoted.

    `finest recommend` makes them at any time.
    """

    out: Address = ""
    """Folder, or URI like s3://bucket/prefix (gs:// and abfs:// too), for files of lists; each line has one of its own.
    Empty: a run makes none."""
    k: int = Field(default=10, ge=1, le=1000)
    """Number of items in a list. Fewer stand in it where lists leave out what a user has had, and nothing else is left.
    """
    processes: int = Field(default=1, ge=1, le=256)
    """Number of processes that make files at the same time, of one thread each. Files do not depend on it; memory does:
    docs/operations.md."""
