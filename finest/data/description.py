"""What tells a night's data from that of other nights: a few numbers, of all of it and of its last 24 hours."""

from collections.abc import Mapping
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field


class Measure(NamedTuple):
    """Says how a number of a description is read."""

    words: str
    """What it is."""
    form: Literal["count", "share"]
    """Counts are compared by their ratio, shares by their difference."""
    of_day: bool = False
    """Whether it is of the last 24 hours and so goes with the weekday."""


DAYS = 14
"""Number of days whose rows are remembered."""
MEASURES: Mapping[str, Measure] = {
    "rows": Measure("rows", "count"),
    "users": Measure("users", "count"),
    "items": Measure("items", "count"),
    "user_share": Measure("share of the rows by one user", "share"),
    "item_share": Measure("share of the rows on one item", "share"),
    "same_time": Measure("share of the rows at one time", "share"),
    "repeats": Measure("share of the interactions that repeat a user-item pair", "share"),
    "gap_days": Measure("days without a row, of the last 28", "count"),
    "new_users": Measure("share of the users that the champion does not know", "share"),
    "new_items": Measure("share of the items that the champion does not know", "share"),
    "later_rows": Measure("rows later than the last 24 hours", "count"),
    "repeated": Measure("share of the last 8 days' rows that repeat another in user, item and time", "share"),
    "day_rows": Measure("rows of the last 24 hours", "count", True),
    "day_users": Measure("users of the last 24 hours", "count", True),
    "day_items": Measure("items of the last 24 hours", "count", True),
    "day_rows_a_user": Measure("rows a user of the last 24 hours", "count", True),
    "day_user_share": Measure("share of the last 24 hours' rows by one user", "share", True),
    "day_item_share": Measure("share of the last 24 hours' rows on one item", "share", True),
    "day_same_time": Measure("share of the last 24 hours' rows at one time", "share", True),
    "day_hours": Measure(
        "share of the last 24 hours' rows at other times of day than in the 28 days before", "share", True
    ),
    "echoed": Measure(
        "share of the last 24 hours' rows that came whole days before, at the same time of day", "share", True
    ),
}
"""A row for every number of a description, by its name; in MLflow it has `data/` before it."""


class Told(BaseModel):
    """Is the base of what verdicts and tags of other versions hold, too: keys that are not known are passed over."""

    model_config = ConfigDict(extra="ignore", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False)


class Description(Told):
    """Describes a night's usable rows, before the k-core: a function of the rows and of the days that were read."""

    first: int
    """Begin of the first hour with a row, in microseconds since 1970 (UTC)."""
    end: int
    """End of the last 24 hours, likewise: of the last day that was read where days are bounded, else `newest`."""
    newest: int
    """End of the last hour that has its share of rows, so that a few rows from a clock that is ahead move nothing."""
    window_days: int | None = None
    """Number of days that were read, where both ends are bounded."""
    days: dict[str, int] = Field(default={})
    """Rows of each of the last days (UTC) before `end`, by date."""
    measures: dict[str, float] = Field(default={})
    """The numbers, by the names of MEASURES; one that there is nothing to tell from is left out."""

    @property
    def span(self) -> int:
        """Returns the time from the first to the last row, in microseconds."""
        return self.end - self.first
