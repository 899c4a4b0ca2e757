r"""How timestamps are written: as numbers, in ISO 8601, or in a form like `%d.%m.%Y %H:%M`; and which form it is.

Directives are those of `strptime`; names of months and days are English. As in finest.data.times, no engine's own
parser is asked: a regular expression takes a text apart, the same on every engine and in Python.
"""

import re
from collections.abc import Iterable
from functools import cache
from itertools import product
from typing import Literal

MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
PARTS = {
    "Y": r"[0-9]{4}",
    "y": r"[0-9]{2}",
    "m": r"0[1-9]|1[0-2]|[1-9]",
    "d": r"0[1-9]|[12][0-9]|3[01]|[1-9]",
    "H": r"[01][0-9]|2[0-3]|[0-9]",
    "I": r"0[1-9]|1[0-2]|[1-9]",
    "M": r"[0-5][0-9]|[0-9]",
    "S": r"[0-5][0-9]|[0-9]",
    "f": r"[0-9]{1,9}",
    "b": f"(?:{'|'.join(''.join(f'[{one.upper()}{one}]' for one in month) for month in MONTHS)})[A-Za-z]{{0,6}}"
    + r"\.?",
    "a": r"[A-Za-z]{2,9}\.?",
    "p": r"[AaPp]\.?[Mm]\.?",
    "z": r"Z|z|UTC|GMT|[+-][0-9]{2}(?::?[0-9]{2})?",
}
"""What stands for a directive. One digit will do for a number, but where another directive is beside it."""
SAME = {"B": "b", "h": "b", "A": "a", "Z": "z"}
"""Directives that read what another one does."""
SHORT = {"%T": "%H:%M:%S", "%R": "%H:%M", "%F": "%Y-%m-%d", "%D": "%m/%d/%y"}
"""Directives that stand for several."""
CENTURY = 69
"""The first year of two digits that is one of the last century's, as for `strptime`."""
MOSTLY = 0.9
"""Share of the texts that must be in a form for it to be guessed."""
FIRST = 20
"""Number of texts one of which must be in it."""

PLAIN_NUMBER = r"^-?[0-9]+(\.[0-9]+)?\z"
"""A timestamp that counts units: decimal digits, without an exponent."""
ISO_8601 = (
    r"^[0-9]{4}(-(0[1-9]|1[0-2])-|/(0[1-9]|1[0-2])/)(0[1-9]|[12][0-9]|3[01])"
    r"([T ]([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9]([.,][0-9]{1,9})?)?"
    r"( ?(Z|z|UTC|GMT|[+-]([01][0-9]|2[0-3])(:?[0-5][0-9])?))?)?\z"
)
"""A day, or a day and a time of day with or without seconds, a fraction of them and a zone; as databases print them,
too: a blank before the zone, UTC for Z, 2024/01/31."""
EXPONENT = r"^-?[0-9]\.[0-9]+[eE]\+?[0-9]{1,2}\z"
"""A number as programs print large floating-point ones: 1.7E9."""

DATES = (
    "%d.%m.%Y", "%d.%m.%y", "%d/%m/%Y", "%m/%d/%Y", "%d/%m/%y", "%m/%d/%y", "%d-%m-%Y", "%m-%d-%Y", "%Y.%m.%d",
    "%b %d %Y", "%b %d, %Y", "%d %b %Y", "%d-%b-%Y", "%d-%b-%y", "%d/%b/%Y", "%a, %d %b %Y", "%a %d %b %Y",
)  # fmt: skip
CLOCKS = (
    "", " %H:%M", " %H:%M:%S", " %H:%M:%S.%f", " %I:%M %p", " %I:%M:%S %p", " %I:%M:%S.%f %p", " %I.%M.%S %p",
    " %I.%M.%S.%f %p", ", %H:%M", ", %H:%M:%S", ", %I:%M %p", ", %I:%M:%S %p", "T%H:%M:%S", ":%H:%M:%S",
)  # fmt: skip
ZONES = ("", " %z", "%z")
WHOLE = (
    "%Y%m%d", "%Y%m%d%H%M%S", "%Y%m%dT%H%M%S", "%Y%m%dT%H%M%S%z", "%Y%m%dT%H%M%S.%f", "%Y%m%dT%H%M%S.%f%z",
    "%Y%m%dT%H%M", "%Y%m%dT%H%M%z", "%Y%m%d %H%M%S", "%Y%m%d %H:%M:%S", "%Y%m%d %H:%M", "%a %b %d %H:%M:%S %Y",
    "%a %b %d %H:%M:%S %z %Y", "%Y-%m-%d %I:%M:%S %p", "%Y-%m-%d %I:%M %p", "%Y-%m-%d-%H.%M.%S.%f",
)  # fmt: skip
"""Forms that are guessed: a date, clock and zone of the above, or one of these."""


class Form(str):
    """A form."""


Unit = Literal["s", "ms", "us", "ns"]

TimestampUnit = Unit | Form
"""What timestamps are: counts of a unit since 1970, or texts of a form."""

DAYS = Form("%Y%m%d")
"""What the config calls the unit `yyyymmdd`."""
SHIFT: dict[Unit, int] = {"s": 6, "ms": 3, "us": 0, "ns": -3}
"""Decimal places from a unit to microseconds: 1 s is 10^6 of them, 1 ns 10^-3."""


def pieces(form: str) -> list[tuple[str, str]]:
    """Returns a form in pieces: a directive's letter and its regular expression, or '' and that of other characters.

    Raises:
        ValueError: A directive is not known, comes twice, or there is no day.
    """
    for short, long in SHORT.items():
        form = form.replace(short, long)
    cut = re.findall(r"%(.)|([^%]+|%\Z)", form, re.DOTALL)
    found, letters = list[tuple[str, str]](), [SAME.get(letter, letter) for letter, _ in cut]
    for place, (letter, (_, other)) in enumerate(zip(letters, cut, strict=True)):
        if not letter:
            found.append(("", re.sub(r"(?:\\ )+", " +", re.escape(other))))
        elif letter == "%":
            found.append(("", "%"))
        elif letter not in PARTS:
            raise ValueError(f"%{letter} is not known; there are %{', %'.join([*PARTS, *SAME])}, {', '.join(SHORT)}")
        else:
            known = PARTS[letter]
            if letter in "mdHIMS" and any(letters[max(place - 1, 0) : place] + letters[place + 1 : place + 2]):
                known = known.rpartition("|")[0]
            found.append((letter, known))
    said = [letter for letter, _ in found if letter]
    if twice := next((letter for letter in said if said.count(letter) > 1), None):
        raise ValueError(f"%{twice} comes twice")
    if not (len({"Y", "y"} & {*said}) == len({"m", "b"} & {*said}) == 1 and "d" in said):
        raise ValueError("a day needs %Y or %y, %m or %b, and %d")
    if ("I" in said) != ("p" in said) or {"H", "I"} <= {*said}:
        raise ValueError("%I goes with %p, and %H without it")
    return found


@cache
def pattern(form: str) -> tuple[str, dict[str, int]]:
    r"""Returns a form as a regular expression of the engines (`\z` is a text's end), with each directive's group."""
    cut = pieces(form)
    letters = [letter for letter, _ in cut if letter not in ("", "a")]  # engines count to nine groups
    text = "".join(f"({known})" if letter in letters else f"(?:{known})" if letter else known for letter, known in cut)
    digits = all(letter in "YymdHIMSf" for letter in letters) and len(letters) == len(cut)
    end = r"(?:\.0+)?\z" if digits else r"\z"
    return f"^{text}{end}", {letter: place for place, letter in enumerate(letters, 1)}


def in_python(regex: str) -> str:
    r"""Returns a regular expression of the engines as Python writes it: 3.11 does not know their `\z`."""
    return regex.replace(r"\z", r"\Z")


@cache
def _guessed() -> list[tuple[str, re.Pattern[str]]]:
    forms = [*WHOLE, *map("".join, product(DATES, CLOCKS, ZONES))]
    believed = r"19[7-9][0-9]|2[01][0-9]{2}"  # finest.data.times.within
    return [(form, re.compile(in_python(pattern(form)[0].replace(PARTS["Y"], believed)))) for form in forms]


def guess(times: Iterable[str]) -> list[str]:
    """Returns the forms that most timestamps are in: none, one, or several where these texts could be either.

    >>> guess(["3.4.2026 7:05"]), guess(["03/04/2026"]), guess(["03/04/2026", "03/24/2026"]), guess(["1700000000"])
    (['%d.%m.%Y %H:%M'], ['%d/%m/%Y', '%m/%d/%Y'], ['%m/%d/%Y'], [])
    """
    texts = [text for text in times if text]
    possible = [(form, known) for form, known in _guessed() if any(map(known.match, texts[:FIRST]))]
    counted = {form: sum(map(bool, map(known.match, texts))) for form, known in possible}
    best = max(counted.values(), default=0)
    return [form for form, count in counted.items() if count == best >= MOSTLY * len(texts) > 0]


def day(text: str, form: str) -> str:
    """Returns the day of a time in a form, such as 2026-04-03; empty where it is in another one."""
    known, groups = pattern(form)
    found = re.match(in_python(known), text)
    if not found:
        return ""
    if "Y" in groups:
        year = found[groups["Y"]]
    else:
        year = ("19" if int(found[groups["y"]]) >= CENTURY else "20") + found[groups["y"]]
    month = int(found[groups["m"]]) if "m" in groups else MONTHS.index(found[groups["b"]][:3].lower()) + 1
    return f"{year}-{month:02d}-{int(found[groups['d']]):02d}"
