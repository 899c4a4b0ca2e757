"""Cron expressions of people, with five fields in a time zone of theirs, as KFP reads them: six fields, the first one seconds, in one
time zone for the whole installation (UTC, unless its controller has CRON_SCHEDULE_TIMEZONE)."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from finest.errors import ConfigError

FIELDS = ("minute", "hour", "day of month", "month", "day of week")
BOUNDS = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 6))
NAMES = {name: str(number) for number, name in enumerate(("sun", "mon", "tue", "wed", "thu", "fri", "sat"))}
YEAR = timedelta(days=366)


def parse(expression: str) -> list[str]:
    """The five fields. Raises ConfigError where they are not five, or hold what no cron takes."""
    fields = expression.split()
    if len(fields) != len(FIELDS):
        raise ConfigError(
            f"--cron {expression!r}: {len(fields)} fields; write {', '.join(FIELDS)}, like '0 2 * * *' for two at night"
        )
    for name, (low, high), field in zip(FIELDS, BOUNDS, fields, strict=True):
        if not all(
            _fits(word, low, high, name)
            for part in field.lower().split(",")
            for word in part.partition("/")[0].split("-")
        ):
            how = f"{low}-{high}, lists with ',', ranges with '-', steps with '/'"
            raise ConfigError(f"--cron {expression!r}: {field!r} is no {name} ({how})")
    return fields


def _fits(word: str, low: int, high: int, name: str) -> bool:
    if name == "day of week":
        word = NAMES.get(word, word)
    return word in ("*", "?") or (word.isdigit() and low <= int(word) <= high)


def zone(name: str) -> ZoneInfo:
    """The time zone. Raises ConfigError for an unknown one."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ConfigError(
            f"time zone {name!r}: unknown; write it like UTC, Europe/Berlin or America/New_York"
        ) from None


def translate(expression: str, theirs: ZoneInfo, servers: ZoneInfo, now: datetime) -> str:
    """KFP's expression for the user's, with the distance between the two zones as it is `now`.

    >>> translate("0 2 * * *", ZoneInfo("Europe/Berlin"), ZoneInfo("UTC"), datetime(2026, 1, 15, tzinfo=UTC))
    '0 0 1 * * *'
    >>> translate("30 0 * * mon-fri", ZoneInfo("Asia/Kolkata"), ZoneInfo("UTC"), datetime(2026, 1, 15, tzinfo=UTC))
    '0 0 19 * * 0,1,2,3,4'
    """
    minute, hour, day, month, weekday = parse(expression)
    distance = _distance(theirs, servers, now)
    if theirs.key != servers.key and distance:
        advice = f"write it in {servers.key}, with --time-zone {servers.key}"
        if not (minute.isdigit() and hour.isdigit()):
            raise ConfigError(
                f"--cron {expression!r}: only a single hour and minute can be moved to another time zone; {advice}"
            )
        moved = int(hour) * 60 + int(minute) - distance
        days, left = divmod(moved, 24 * 60)
        hour, minute = str(left // 60), str(left % 60)
        if days and (day not in ("*", "?") or month not in ("*", "?")):
            raise ConfigError(
                f"--cron {expression!r}: in {servers.key} this falls on another day, which no expression can say; {advice}"
            )
        weekday = _shifted(weekday, days)
    return " ".join(("0", minute, hour, day, month, weekday))


def drift(theirs: ZoneInfo, servers: ZoneInfo, now: datetime) -> tuple[datetime, int] | None:
    """When in the coming year the distance between the zones changes, and by how many minutes the local start moves then. None: never."""
    if theirs.key == servers.key:
        return None
    before = _distance(theirs, servers, now)
    hours = (now + timedelta(hours=step) for step in range(int(YEAR / timedelta(hours=1))))
    changed = next((moment for moment in hours if _distance(theirs, servers, moment) != before), None)
    return None if changed is None else (changed, _distance(theirs, servers, changed) - before)


def _distance(theirs: ZoneInfo, servers: ZoneInfo, moment: datetime) -> int:
    """Minutes that their clocks are ahead of the server's."""
    moment = moment.astimezone(UTC)
    ahead = [moment.astimezone(one).utcoffset() or timedelta() for one in (theirs, servers)]
    return int((ahead[0] - ahead[1]) / timedelta(minutes=1))


def _shifted(weekday: str, days: int) -> str:
    if not days or weekday in ("*", "?"):
        return weekday
    chosen: set[int] = set()
    for part in weekday.lower().split(","):
        first, dash, last = part.partition("-")
        ends = [NAMES.get(word, word) for word in ((first, last) if dash else (first, first))]
        if not all(word.isdigit() for word in ends):
            raise ConfigError(
                f"--cron: day of week {weekday!r} cannot be moved to another time zone; list days, like mon,wed or mon-fri"
            )
        chosen |= {(day + days) % 7 for day in range(int(ends[0]), int(ends[1]) + 1)}
    return ",".join(str(day) for day in sorted(chosen))
