"""Config of the step `promote`: what a candidate must share with the champion, and how it becomes that."""

from pydantic import Field

from finest.section import Section


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
