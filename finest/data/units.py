"""In which unit numeric timestamps are, told from their size.

Between 1973 and 5138, seconds, milliseconds, microseconds and nanoseconds since 1970 have numbers of different lengths.
"""

import re
from collections.abc import Iterable
from datetime import UTC, date, datetime
from statistics import median_low

from finest.data.times import EXPONENT, PLAIN_NUMBER, SHIFT, TimestampUnit, Unit

BOUNDS: dict[Unit, tuple[float, float]] = {"s": (1e8, 1e11), "ms": (1e11, 1e14), "us": (1e14, 1e17), "ns": (1e17, 1e20)}
"""The numbers that stand for times of these years, by unit."""
NAMES: dict[TimestampUnit, str] = {
    "s": "seconds",
    "ms": "milliseconds",
    "us": "microseconds",
    "ns": "nanoseconds",
    "yyyymmdd": "days like 20240131",
}
NUMBER = re.compile(f"{PLAIN_NUMBER}|{EXPONENT}".replace(r"\z", ""))
"""A numeric timestamp, to be matched as a whole: Python 3.11 does not know the engines' sign for a text's end."""


def guess(times: Iterable[str]) -> TimestampUnit | None:
    """Returns the unit that most timestamps are in; None where they are no numbers, or small ones.

    >>> guess(["1700000000", "1700000001", "0"]), guess(["1.7E12"]), guess(["20240131"]), guess(["2024-01-31"])
    ('s', 'ms', 'yyyymmdd', None)
    """
    times = list(times)
    numbers = [text for text in times if NUMBER.fullmatch(text)]
    if not numbers or 2 * len(numbers) < len(times):
        return None
    if all(map(_is_day, numbers)):
        return "yyyymmdd"
    middle = abs(median_low(map(float, numbers)))
    return next((unit for unit, (least, end) in BOUNDS.items() if least <= middle < end), None)


def _is_day(text: str) -> bool:
    if not re.fullmatch(r"(19[789]|20|21)[0-9]{5,6}(\.0+)?", text) or len(text.partition(".")[0]) != 8:
        return False
    try:
        date(int(text[:4]), int(text[4:6]), int(text[6:8]))
    except ValueError:
        return False
    return True


def example(times: Iterable[str], unit: TimestampUnit) -> str:
    """Returns a timestamp and the day that it is in this unit, in words."""
    number = next(text for text in times if guess([text]) is not None)
    if unit == "yyyymmdd":
        return f"{number} is {number[:4]}-{number[4:6]}-{number[6:8]}"
    seconds = float(number) * 10.0 ** (SHIFT[unit] - 6)
    day = datetime.fromtimestamp(seconds, UTC).date() if 0 <= seconds < 253_402_300_800 else "out of range"
    return f"{number} is {day}"
