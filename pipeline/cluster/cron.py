"""Translates cron expressions of people, with five fields in a time zone of theirs, to KFP's.

Those have six fields, the first one seconds, and one time zone for the whole installation: UTC, unless its controller
has CRON_SCHEDULE_TIMEZONE.
"""

from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from finest.errors import ConfigError

NAMES = ("minute", "hour", "day of month", "month", "day of week")
ALL = (set(range(60)), set(range(24)), set(range(1, 32)), set(range(1, 13)), set(range(7)))
"""All values of each field."""
YEAR = timedelta(days=366)


class Times(NamedTuple):
    """What an expression allows, field by field."""

    minutes: set[int]
    hours: set[int]
    days: set[int]
    months: set[int]
    weekdays: set[int]
    """0 is Sunday."""
    either: bool
    """Whether a day of the month or a day of the week is enough, as both are given; else both must fit."""


def parse(expression: str) -> Times:
    """Returns what the expression allows. Raises ConfigError where it is none, or is one that KFP cannot be told."""
    fields = expression.split()
    if len(fields) != len(NAMES):
        raise ConfigError(
            f"--cron {expression!r}: {len(fields)} fields; write {', '.join(NAMES)}, like '0 2 * * *' for two at night"
        )
    fields = ["*" if field == "?" and number in (2, 4) else field for number, field in enumerate(fields)]
    try:
        found = CronSim(" ".join(fields), datetime(2000, 1, 1, tzinfo=UTC))
    except CronSimError as error:
        name = str(error).removeprefix("Bad ").replace("-", " ")
        raise ConfigError(
            f"--cron {expression!r}: {fields[NAMES.index(name)]!r} is no {name}; write numbers or names, "
            "lists with ',', "
            "ranges from the lesser to the greater with '-', steps with '/'"
        ) from None
    days, weekdays = ({day for day in one if isinstance(day, int) and day >= 0} for one in (found.days, found.weekdays))
    if len(days) < len(found.days) or len(weekdays) < len(found.weekdays):
        raise ConfigError(f"--cron {expression!r}: KFP knows no L, W or # for days; list the days")
    times = Times(found.minutes, found.hours, days, found.months, {day % 7 for day in weekdays}, not found.day_and)
    if not times.either and times.days != ALL[2] and times.weekdays != ALL[4]:
        raise ConfigError(
            f"--cron {expression!r}: days of the month and of the week, one of them with '*/'; "
            "crons differ in whether both "
            "must fit: list the days"
        )
    return times


def zone(name: str) -> ZoneInfo:
    """Returns the time zone. Raises ConfigError for an unknown one."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ConfigError(
            f"time zone {name!r}: unknown; write it like UTC, Europe/Berlin or America/New_York"
        ) from None


def translate(expression: str, theirs: ZoneInfo, servers: ZoneInfo, now: datetime) -> str:
    """Returns KFP's expression for the user's, with the distance between the two zones as it is `now`.

    Raises ConfigError for an expression that is none, or that cannot be said in the server's zone.

    >>> translate("0 2 * * *", ZoneInfo("Europe/Berlin"), ZoneInfo("UTC"), datetime(2026, 1, 15, tzinfo=UTC))
    '0 0 1 * * *'
    >>> translate("30 0 * * mon-fri", ZoneInfo("Asia/Kolkata"), ZoneInfo("UTC"), datetime(2026, 1, 15, tzinfo=UTC))
    '0 0 19 * * 0,1,2,3,4'
    """
    times = parse(expression)
    distance = 0 if theirs.key == servers.key else _distance(theirs, servers, now)
    if distance:
        times = _moved(times, distance, expression, servers)
    sets = (times.minutes, times.hours, times.days, times.months, times.weekdays)
    stars = (True, True, not times.either, True, not times.either)
    return " ".join(["0", *(_written(*field) for field in zip(sets, ALL, stars, strict=True))])


def _moved(times: Times, distance: int, expression: str, servers: ZoneInfo) -> Times:
    """Returns the times by a clock that is `distance` minutes behind."""
    advice = f"write it in {servers.key}, with --time-zone {servers.key}"
    if len(times.minutes) > 1 or len(times.hours) > 1:
        raise ConfigError(
            f"--cron {expression!r}: only a single hour and minute can be moved to another time zone; {advice}"
        )
    (minute,), (hour,) = times.minutes, times.hours
    days, left = divmod(hour * 60 + minute - distance, 24 * 60)
    if days and (times.days, times.months) != (ALL[2], ALL[3]):
        raise ConfigError(
            f"--cron {expression!r}: in {servers.key} this falls on another day, which no expression can say; {advice}"
        )
    weekdays = {(day + days) % 7 for day in times.weekdays}
    return times._replace(minutes={left % 60}, hours={left // 60}, weekdays=weekdays)


def _written(values: set[int], every: set[int], star: bool) -> str:
    """Returns a field; a day that is given beside the other kind of day is never a star, which would ask for both."""
    return "*" if star and values == every else ",".join(map(str, sorted(values)))


def drift(theirs: ZoneInfo, servers: ZoneInfo, now: datetime) -> tuple[datetime, int] | None:
    """Returns when in the coming year the distance between the zones changes, and by how many minutes starts move then.

    None where it never does.
    """
    if theirs.key == servers.key:
        return None
    before = _distance(theirs, servers, now)
    hours = (now + timedelta(hours=step) for step in range(int(YEAR / timedelta(hours=1))))
    changed = next((moment for moment in hours if _distance(theirs, servers, moment) != before), None)
    return None if changed is None else (changed, _distance(theirs, servers, changed) - before)


def _distance(theirs: ZoneInfo, servers: ZoneInfo, moment: datetime) -> int:
    """Returns the minutes that their clocks are ahead of the server's."""
    moment = moment.astimezone(UTC)
    ahead = [moment.astimezone(one).utcoffset() or timedelta() for one in (theirs, servers)]
    return int((ahead[0] - ahead[1]) / timedelta(minutes=1))
