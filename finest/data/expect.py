"""Config of what a night's data must be like, by itself and beside the line's last nights."""

from typing import Annotated

from pydantic import Field

from finest.section import OrOff, Section

Share = Annotated[float, Field(ge=0, le=1)]
Hours = Annotated[float, Field(ge=0)]


class Expect(Section):
    """What ends a night before anything is trained; docs/nights.md says what it was measured on. `off`: no bound.

    What is beyond the last nights, but within these bounds, is a note of the verdict.
    """

    nights: int = Field(default=28, ge=0, le=60)
    """Number of the line's last nights that the data is compared with; 0: none. Four weeks have every weekday four
    times."""
    min_rows: OrOff[Share] = 0.6
    """Rows of the night, as a share of the fewest that those nights had, where both hold a week or more; and rows of
    days that those nights had too, as a share of what they had of them. Honest feeds lose next to nothing there; half
    of the rows missing is 0.5."""
    min_day_rows: OrOff[Share] = 0.2
    """Rows of the last 24 hours, as a share of the fewest that nights of the same weekday had there (all nights, where
    fewer than two are of it). Generous, since a holiday may take half of a day's rows and more."""
    min_day_rows_a_user: OrOff[Share] = 0.6
    """The same of the rows a user. A holiday leaves them as they are; where half of the rows are missing at random,
    they are fewer."""
    max_user_share: OrOff[Share] = 0.5
    """Share of all rows that one user may have, also on a first night; where there are 50 users or more."""
    max_user_rise: OrOff[Share] = 0.2
    """By how much that share may be above the most of those nights; and likewise that of the last 24 hours."""
    max_item_share: OrOff[Share] = 0.8
    """Share of all rows that one item may have, also on a first night; where there are 50 items or more."""
    max_item_rise: OrOff[Share] = 0.25
    """By how much that share may be above the most of those nights; likewise. One item can be what a day is about."""
    max_same_time: OrOff[Share] = 0.9
    """Share of all rows that may have one timestamp, also on a first night: such rows have no order to learn. Not where
    `ingest.columns.sequence` gives one."""
    max_same_time_rise: OrOff[Share] = 0.25
    """By how much that share may be above the most of those nights; and likewise that of the last 24 hours."""
    max_hours_rise: OrOff[Share] = 0.25
    """By how much more of the last 24 hours' rows may be at other times of day than usual, than the most of those
    nights: of a day that was cut off at noon, about half are."""
    max_repeated_rise: OrOff[Share] = 0.05
    """By how much the share of the last 8 days' rows that repeat another in user, item and time may be above the most
    of those nights. One day of them that came twice is 0.11."""
    max_echoed_rise: OrOff[Share] = 0.3
    """By how much the share of the last 24 hours' rows that came just so a number of days before, up to a week, at the
    same time of day, may be above the most of those nights. A day that is last week's again is 1."""
    max_hours_off: OrOff[Hours] = 36.0
    """Hours by which the newest rows may be older than those of an earlier night; and by which they may be nearer to
    the run's `as_of`, or further ahead of it, than those of any of those nights."""
