"""Config of the step `promote`: what a candidate must share with the champion, and how it becomes that."""

from typing import Annotated, Literal

from pydantic import Field

from components.promote.freeze import Freeze
from finest.section import OrOff, Section


class Promote(Section):
    """Says where a candidate goes once it is judged."""

    register_rejected: bool = False
    """Register a rejected candidate too, as `challenger`, so that it can be looked into. It is never `champion`."""
    verify_instances: int = Field(default=200, ge=1)
    """Number of instances whose lists the registered version must reproduce before the alias moves."""
    min_shared_items: float = Field(default=0.5, ge=0, le=1)
    """Least share of the champion's items that the data must have: with less it is another line's, and refused before
    anything is compared."""
    min_shared_users: float = Field(default=0.1, ge=0, le=1)
    """The same of the champion's users."""
    min_shared_moments: float = Field(default=0.5, ge=0, le=1)
    """Least share of the users in common who have an interaction at the very moment of the last one that the champion
    was trained on: ids that are numbers are alike in any two shops, and what users did when is not. Asked where that
    moment is within the data's time."""
    canary_environment: Literal["installed", "virtualenv"] = "installed"
    """Where the registered version is tried before the alias moves: with what is `installed` beside this program, which
    must be exactly what its requirements.txt says, or in a `virtualenv` that pip makes of that file (it takes minutes,
    gigabytes, and an index that pip reaches)."""
    canary_patience_s: float = Field(default=300.0, gt=0)
    """Seconds that the tried version may take to load, or to answer once, before it counts as hanging."""
    max_load_s: float | None = Field(default=None, gt=0)
    """Longest time (seconds) until the tried version is loaded, imports included; null: it is measured alone."""
    max_p95_ms: float | None = Field(default=None, gt=0)
    """Longest time (milliseconds) of 95 of 100 answers to one history each; null: it is measured alone."""
    max_memory_mb: float | None = Field(default=None, gt=0)
    """Most memory (MB of 1e6 bytes) of the process that serves; one that takes more is ended. null: it is measured
    alone."""
    max_slowdown: OrOff[Annotated[float, Field(gt=1)]] = 3.0
    """Largest factor between what the tried version and the champion take beside it, on the same machine and in turns:
    to load, to answer in the median, and in memory; differences up to 5 s, 5 ms and 200 MB are none. `off`: they are
    not compared. Equal models differed by at most 1.31 (docs/operations.md)."""
    approval: Literal["automatic", "manual"] = "automatic"
    """Whether a candidate that passed becomes champion by itself, or waits for a person: `finest models approve`."""
    approval_hours: float = Field(default=24.0, gt=0, le=24 * 366)
    """How long a candidate waits for a person; after that, it is never champion without `--force`."""
    freeze: list[Freeze] = Field(default=[])
    """Spans of time in which no candidate becomes champion by itself: it waits for a person, as above."""
    keep_versions: int | None = Field(default=None, ge=1)
    """After a promotion, delete registered versions that the last so many moves of the ledger, an alias or a kept
    version do not refer to, as `finest models prune --keep` does. Unset: keep all."""
