"""Config of the step `preflight`: what must hold before anything expensive starts."""

from pydantic import Field

from finest.section import Section


class Preflight(Section):
    """Says what the first minute of a run checks."""

    min_free_gb: float = Field(default=2.0, ge=0)
    """Least free space where the run keeps its files and checkpoints, in GB (1e9 bytes)."""
    skip_without_new_data: bool = False
    """End as `skipped` where the champion was made from the same or newer data. A night with nothing to judge by is
    skipped anyway."""
