"""Lengths of time, written for people, and days that follow."""

from datetime import date, timedelta


def duration(seconds: float) -> str:
    """Returns a number of seconds in few words.

    >>> duration(7.26), duration(83.4), duration(600), duration(4000)
    ('7.3 s', '1 min 23 s', '10 min', '1 h 6 min')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes} min {rest} s" if rest else f"{minutes} min"


def day_after(day: date, days: int = 1) -> date:
    """Returns the day so many days later; the last day that there is where that is none.

    >>> str(day_after(date(2026, 12, 31))), str(day_after(date(9999, 12, 30), 2))
    ('2027-01-01', '9999-12-31')
    """
    return day + min(timedelta(days=days), date.max - day)
