"""In which unit or form timestamps are: of numbers, told from their size.

Between 1973 and 5138, seconds, milliseconds, microseconds and nanoseconds since 1970 have numbers of different lengths.
"""

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from statistics import median_low

from finest.data import forms
from finest.data.forms import EXPONENT, PLAIN_NUMBER, SHIFT, Form, TimestampUnit, Unit, in_python

BOUNDS: dict[Unit, tuple[float, float]] = {"s": (1e8, 1e11), "ms": (1e11, 1e14), "us": (1e14, 1e17), "ns": (1e17, 1e20)}
"""The numbers that stand for times of these years, by unit."""
NAMES: dict[Unit, str] = {
    "s": "seconds",
    "ms": "milliseconds",
    "us": "microseconds",
    "ns": "nanoseconds",
}
NUMBER = re.compile(in_python(f"{PLAIN_NUMBER}|{EXPONENT}"))
"""A numeric timestamp, to be matched as a whole."""


def guess(times: Iterable[str]) -> Unit | None:
    """Returns the unit that most timestamps are in; None where they are no numbers, or small ones.

    >>> guess(["1700000000", "1700000001", "0"]), guess(["1.7E12"]), guess(["2024-01-31"])
    ('s', 'ms', None)
    """
    times = list(times)
    numbers = [text for text in times if NUMBER.fullmatch(text)]
    if not numbers or 2 * len(numbers) < len(times):
        return None
    middle = abs(median_low(map(float, numbers)))
    return next((unit for unit, (least, end) in BOUNDS.items() if least <= middle < end), None)


def kinds(times: Iterable[str]) -> list[TimestampUnit]:
    """Returns the forms that most timestamps may be in, else the unit that they are in; nothing for ISO 8601.

    >>> kinds(["20240131"]), kinds(["20240131120000"]), kinds(["1700000000"]), kinds(["2024-01-31"])
    (['%Y%m%d'], ['%Y%m%d%H%M%S'], ['s'], [])
    """
    times = list(times)
    if found := forms.guess(times):
        return [Form(form) for form in found]
    unit = guess(times)
    return [unit] if unit else []


def name(unit: TimestampUnit) -> str:
    """Returns what timestamps are, in words."""
    return f"in the form {unit}" if isinstance(unit, Form) else f"{NAMES[unit]} by their size"


def example(times: Iterable[str], unit: TimestampUnit) -> str:
    """Returns a timestamp and the day that it is in this unit, in words."""
    if isinstance(unit, Form):
        return next(f"{text} is {day}" for text in times if (day := forms.day(text, unit)))
    number = next(text for text in times if guess([text]) is not None)
    seconds = float(number) * 10.0 ** (SHIFT[unit] - 6)
    believed = 0 <= seconds < 253_402_300_800
    return f"{number} is {datetime.fromtimestamp(seconds, UTC).date() if believed else 'out of range'}"
