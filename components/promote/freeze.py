"""Freezes: spans of time in which nothing goes into production by itself, on set days or again and again."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError
from pydantic import Field, field_validator, model_validator

from finest.durations import day_after
from finest.section import Section

CRON_FIELDS = 5


class Freeze(Section):
    """Holds one freeze: from `start` to `end`, or for `hours` from every moment that `cron` names."""

    start: date | datetime | None = None
    """First moment (ISO 8601); a day begins at its midnight."""
    end: date | datetime | None = None
    """The end: of a day, the whole day is frozen; a time is the first moment that is not."""
    cron: str = ""
    """Starts of a freeze that comes again, in five fields like `0 18 * * fri`; it lasts for `hours`."""
    hours: float | None = Field(default=None, gt=0, le=24 * 366)
    """How long each freeze of `cron` lasts."""
    time_zone: str = "UTC"
    """Zone of all that, like Europe/Berlin."""
    why: str = ""
    """Reason, for those who wait."""

    @field_validator("start", "end", mode="before")
    @classmethod
    def _a_day_or_a_time(cls, value: object) -> object:
        """Keeps a day a day: pydantic takes midnight for one too, and the two end differently."""
        if not isinstance(value, str):
            if value is None or isinstance(value, date):
                return value
            raise ValueError("must be a day or a time like 2026-12-24 or 2026-12-24T18:00")
        try:
            return date.fromisoformat(value) if len(value) == len("2026-12-24") else datetime.fromisoformat(value)
        except ValueError:
            raise ValueError("must be a day or a time like 2026-12-24 or 2026-12-24T18:00") from None

    @field_validator("time_zone")
    @classmethod
    def _known(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError("is no time zone; write it like UTC, Europe/Berlin or America/New_York") from None
        return value

    @field_validator("cron")
    @classmethod
    def _five_fields(cls, value: str) -> str:
        try:
            if value:
                if len(value.split()) != CRON_FIELDS:
                    raise CronSimError("it has not five fields")
                next(CronSim(value, datetime(2000, 1, 1, tzinfo=UTC)))
        except (CronSimError, StopIteration) as error:
            said = str(error) or "no day is like that"
            raise ValueError(
                f"{said}; write minute, hour, day of month, month, day of week, like 0 18 * * fri"
            ) from None
        return value

    @model_validator(mode="after")
    def _one_kind(self) -> "Freeze":
        dated, again = (self.start, self.end), (self.cron or None, self.hours)
        if None not in dated and again == (None, None):
            try:
                first, last = self._first(), self._last()
            except OverflowError:
                raise ValueError("starts or ends in a year that cannot be counted on from") from None
            if first >= last:
                raise ValueError("ends before it starts")
        elif None in again or dated != (None, None):
            raise ValueError("a freeze has start and end, or cron and hours: {start: 2026-12-24, end: 2026-12-26}")
        return self

    def until(self, now: datetime) -> datetime | None:
        """Returns when the freeze that holds at a moment ends, in UTC; None where none holds."""
        zone = ZoneInfo(self.time_zone)
        if self.cron:
            # Backwards, and from a second later: a freeze holds at its first moment too.
            before = CronSim(self.cron, now.astimezone(zone) + timedelta(seconds=1), reverse=True)
            last = next(before, None)
            first, end = last, last and last.astimezone(UTC) + timedelta(hours=self.hours or 0)
        else:
            first, end = self._first(), self._last()
        return end if first and end and first <= now < end else None

    def _first(self) -> datetime:
        return self._moment(self.start)

    def _last(self) -> datetime:
        day = isinstance(self.end, date) and not isinstance(self.end, datetime)
        return self._moment(day_after(self.end) if day and self.end else self.end)

    def _moment(self, value: date | datetime | None) -> datetime:
        assert value is not None
        found = value if isinstance(value, datetime) else datetime.combine(value, time())
        return (found if found.tzinfo else found.replace(tzinfo=ZoneInfo(self.time_zone))).astimezone(UTC)


def frozen(freezes: Iterable[Freeze], now: datetime) -> str:
    """Returns what says that a freeze holds, and until when; empty where none does. Of many, that which ends last."""
    ends = [(end, freeze.why) for freeze in freezes if (end := freeze.until(now))]
    if not ends:
        return ""
    end, why = max(ends)
    return f"promote.freeze{f' ({why})' if why else ''} until {end:%Y-%m-%d %H:%M} UTC"
