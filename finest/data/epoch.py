"""Times as this library counts them: microseconds since 1970 (UTC)."""

from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DAY = 86_400_000_000
"""A day in microseconds."""
HOUR = DAY // 24
"""An hour in microseconds."""
END = 7_289_654_400_000_000
"""The end of the times that are believed, in microseconds: 2201-01-01."""


def microseconds(moment: datetime) -> int:
    """Returns the microseconds since 1970 of a time; it is UTC where it has no zone."""
    return (moment.replace(tzinfo=moment.tzinfo or UTC) - EPOCH) // timedelta(microseconds=1)
