"""What is unusual in a night's data: its description beside those of the line's last nights."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Literal, NamedTuple

from finest.data.compared import Compared, Found, NightData
from finest.data.description import DAYS, MEASURES, Description
from finest.data.epoch import DAY, HOUR
from finest.data.expect import Expect

NOTED = 3
"""Number of nights from which on something is unusual, and from which on the last 24 hours are held against bounds."""
SEVERAL = 20
"""Number of users that each night it is compared with must have had: of fewer, each is a large share of it."""
MANY = {"users": 50, "items": 50, "rows": 50}
"""Numbers of users, items, rows from which on none may have nearly all, whatever other nights had."""
DAYS_OF_WEEK = 7
WEEK = DAYS_OF_WEEK * DAY
HOURS = 24
"""Hours that the newest rows may be off without a word."""
COUNT_BEYOND, SHARE_BEYOND = 0.2, 0.05
"""How far beyond the nights' range a number must be to be noted, at least: relative for counts, absolute for shares."""
RISES = {
    "user_share": "max_user_rise",
    "day_user_share": "max_user_rise",
    "item_share": "max_item_rise",
    "day_item_share": "max_item_rise",
    "same_time": "max_same_time_rise",
    "day_same_time": "max_same_time_rise",
    "day_hours": "max_hours_rise",
    "repeated": "max_repeated_rise",
    "echoed": "max_echoed_rise",
}
"""Keys of the bounds of shares above those of the last nights."""
MOST = {
    "user_share": ("max_user_share", "users"),
    "item_share": ("max_item_share", "items"),
    "same_time": ("max_same_time", "rows"),
}
"""Keys of the bounds that hold on a first night, too, and of what there must be MANY."""
LEAST = {"day_rows": "min_day_rows", "day_rows_a_user": "min_day_rows_a_user"}
"""Keys of the bounds of counts of the last 24 hours, as shares of the least of the last nights."""


class Earlier(NamedTuple):
    """Holds another night of the line."""

    as_of: datetime
    """The moment that it stands for."""
    data: NightData


def compare(
    tonight: NightData,
    as_of: datetime,
    nights: Sequence[Earlier],
    config: Expect,
    *,
    ordered: bool = False,
) -> Compared:
    """Compares a night's data with that of the nights that stand for earlier moments, and are of other data.

    Args:
        tonight: The night's data.
        as_of: The moment that it stands for.
        nights: The line's other nights, in any order.
        config: The bounds.
        ordered: Whether rows of one time have an order.
    """
    others = [one for one in nights if one.as_of < as_of and one.data.fingerprint != tonight.fingerprint]
    last = sorted(others, key=lambda one: one.as_of)[-config.nights :] if config.nights else []
    now = tonight.description
    why = ""
    if not last:
        why = "ingest.expect.nights is 0" if not config.nights else "the line has none that says what its data was like"
    found = [_measured(name, now, last, config, ordered) for name in MEASURES if name in now.measures]
    return Compared(
        tonight=tonight,
        nights=len(last),
        since=last[0].as_of.isoformat() if last else "",
        until=last[-1].as_of.isoformat() if last else "",
        why_none=why,
        found=(*found, *_kept(now, last, config), *_lag(now, as_of, last, config)),
    )


def _measured(name: str, now: Description, last: list[Earlier], config: Expect, ordered: bool) -> Found:
    """Holds a number against those of the nights that it can be compared with."""
    value, measure = now.measures[name], MEASURES[name]
    nights = _alike(name, now, last)
    values = [one.data.description.measures[name] for one in nights]
    low, high = min(values, default=None), max(values, default=None)
    enough = len(values) >= NOTED
    found = Found(name=name, words=measure.words, value=value, low=low, high=high)
    said = f"{measure.words[0].upper()}{measure.words[1:]}: {_written(name, value)}"
    if low is not None and high is not None:
        said += f", where {_counted(len(values))} had {_between(name, low, high)}"
    if option := _beyond(name, now, nights, config, ordered):
        return found.model_copy(update={"status": "refused", "option": option, "sentence": f"{said}."})
    if low is None or high is None or not enough:
        return found
    floor = COUNT_BEYOND * (low if value < low else high) if measure.form == "count" else SHARE_BEYOND
    sparse = measure.of_day and min(one.data.description.measures.get("day_users", 0) for one in nights) < SEVERAL
    slack = max((high - low) * (1 if sparse else 0.5), floor)
    if measure.form == "count" and high <= 2:  # days without a row: one or two are no news
        slack = max(slack, 2.0)
    if low - slack <= value <= high + slack:
        return found.model_copy(update={"status": "usual"})
    return found.model_copy(update={"status": "unusual", "sentence": f"{said}."})


def _alike(name: str, now: Description, last: list[Earlier]) -> list[Earlier]:
    """Returns the nights that a number can be compared with: of counts of a day, those of the weekday if there are."""
    there = [one for one in last if name in one.data.description.measures]
    if name in ("rows", "users", "items"):
        return _recent([one for one in there if one.data.description.window_days == now.window_days])
    if MEASURES[name].of_day and MEASURES[name].form == "count":
        same = [
            one for one in there if abs((now.end - one.data.description.end + WEEK // 2) % WEEK - WEEK // 2) < DAY // 2
        ]
        return same if len(same) >= 2 else there
    return there


def _beyond(name: str, now: Description, nights: list[Earlier], config: Expect, ordered: bool) -> str:
    """Returns the key of the bound that a number is beyond; '' for none."""
    value, values = now.measures[name], [one.data.description.measures[name] for one in nights]
    if name in MOST and not (name == "same_time" and ordered):
        option, of = MOST[name]
        if above(value, getattr(config, option)) and now.measures[of] >= MANY[of]:
            return option
    if not values:
        return ""
    if name == "rows":
        weekly = [one.data.description for one in nights if one.data.description.span >= WEEK]
        least = min((one.measures[name] for one in weekly), default=0.0)
        return "min_rows" if below(value, config.min_rows, least) else ""
    if MEASURES[name].of_day and len(nights) < NOTED:
        return ""
    if name != "repeated":
        of = "day_rows" if name == "echoed" else "day_users" if MEASURES[name].of_day else "users"
        if min(one.data.description.measures.get(of, 0) for one in nights) < SEVERAL:
            return ""
    if name in LEAST:
        return LEAST[name] if below(value, getattr(config, LEAST[name]), min(values)) else ""
    if name in RISES and not (ordered and "same_time" in name):
        return RISES[name] if above(value - max(values), getattr(config, RISES[name])) else ""
    return ""


def above(value: float, bound: float | str) -> bool:
    """Tells whether a value is above a bound that may be off."""
    return not isinstance(bound, str) and value > bound


def below(value: float, bound: float | str, of: float = 1.0) -> bool:
    """Tells whether a value is below its bound, a share of another value, which may be off."""
    return not isinstance(bound, str) and value < bound * of


def _recent(nights: list[Earlier]) -> list[Earlier]:
    """Returns the nights whose rows tonight's are held against: of a source that only grows, those of a week."""
    week = nights[-DAYS_OF_WEEK:]
    return week if len({one.data.description.first for one in week}) == 1 else nights


def _kept(now: Description, last: list[Earlier], config: Expect) -> Iterator[Found]:
    """Yields how many of the rows of days that earlier nights had as well are there tonight: the most by any of them.

    Of a window, the first day is left out: some of its rows came with the day before, which is not read any more.
    """
    shares = []
    for one in last[-DAYS_OF_WEEK:]:
        then = one.data.description
        moved = now.first != then.first
        after = str(_day(max(now.first, then.first) if moved else now.first - DAY))
        since, until = str(_day(now.end - 1 - (DAYS - 1) * DAY)), str(_day(now.end - 1))
        days = [day for day in then.days if after < day and since <= day <= until]
        if rows := sum(then.days[day] for day in days):
            shares.append(sum(now.days.get(day, 0) for day in days) / rows)
    if not shares:
        return
    most = max(shares)
    words = "rows of days that an earlier night had too, as a share of what it had of them"
    low = below(most, config.min_rows)
    status: Literal["usual", "unusual", "refused"] = (
        "refused" if low else "unusual" if most < 1 - SHARE_BEYOND else "usual"
    )
    said = (
        f"Of the rows that earlier nights had of days that are read again, {most:.1%} are there, where all should be."
    )
    yield Found(
        name="kept_rows",
        words=words,
        value=round(most, 6),
        low=1.0,
        high=1.0,
        status=status,
        option="min_rows" if low else "",
        sentence="" if status == "usual" else said,
    )


def _lag(now: Description, as_of: datetime, last: list[Earlier], config: Expect) -> Iterator[Found]:
    """Yields how far the newest rows are from where they should be, where that is more than a day."""
    if not last:
        return
    lag, *lags = (
        (moment - _moment(description.newest)) / timedelta(hours=1)
        for moment, description in ((as_of, now), *((one.as_of, one.data.description) for one in last))
    )
    newest = max(one.data.description.newest for one in last)
    back, ahead = (newest - now.newest) / HOUR, min(lags) - lag
    if max(back, ahead) <= HOURS:
        return
    said = f"The newest rows are of {_moment(now.newest):%Y-%m-%d %H:%M} UTC"
    if back > HOURS:
        said += f", {back:,.0f} hours before those of an earlier night ({_moment(newest):%Y-%m-%d %H:%M} UTC)."
    else:
        where = f"{-lag:,.0f} hours after" if lag < 0 else f"{lag:,.0f} hours before"
        said += f", {where} the night's moment, and {ahead:,.0f} hours further on than those of any earlier night."
    off = above(max(back, ahead), config.max_hours_off)
    yield Found(
        name="hours_off",
        words="hours by which the newest rows are older, or further ahead, than they should be",
        value=round(max(back, ahead), 1),
        status="refused" if off else "unusual",
        option="max_hours_off" if off else "",
        sentence=said,
    )


def _counted(nights: int) -> str:
    return f"{nights} earlier nights" if nights > 1 else "an earlier night"


def _between(name: str, low: float, high: float) -> str:
    written = [_written(name, value) for value in (low, high)]
    return written[0] if written[0] == written[1] else " to ".join(written)


def _written(name: str, value: float) -> str:
    """Returns a number for people.

    >>> _written("rows", 1234.0), _written("day_rows_a_user", 5.25), _written("user_share", 0.3333)
    ('1,234', '5.2', '33.3%')
    """
    if MEASURES[name].form == "share":
        return f"{value:.1%}"
    return f"{value:,.0f}" if value == round(value) else f"{value:,.1f}"


def _moment(microseconds: int) -> datetime:
    return datetime.fromtimestamp(microseconds / 1_000_000, UTC)


def _day(microseconds: int) -> object:
    return _moment(microseconds).date()
