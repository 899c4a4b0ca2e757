"""Days in paths: which folders of a feed say the day that their files are of."""

import re
from collections.abc import Iterable
from datetime import date, datetime
from urllib.parse import unquote

from finest.errors import ConfigError

UNKNOWN = frozenset({"__hive_default_partition__", "null", "none", "nan", "nat", "\\n", ""})
"""Values of a partition, in lower case, that writers put for a day that is missing."""
DIRECTIVES = {"Y": "[0-9]{4}", "m": "[0-9]{2}", "d": "[0-9]{2}", "H": "[0-9]{2}", "M": "[0-9]{2}", "S": "[0-9]{2}"}
"""Pattern of each directive of a format, as strftime has them."""
DAY_OF_YEAR = "j"
FORMATS = ("%Y-%m-%d", "%Y-%m-%d-%H", "%Y-%m-%d %H:%M:%S", "%Y_%m_%d", "%Y/%m/%d", "%Y%m%d", "%Y%m%d%H")
"""Formats of days that are known in a partition of any key; those of digits alone, of a key that means a day."""
DAY_KEY = re.compile(r"(?:^|_)(?:dt|ds|ymd|day|date|datum|[a-z]*date|[a-z]*day|datehour|hour)(?:_|$)", re.IGNORECASE)
"""Finds keys that mean a day, such as `event_date`."""
LEVELS = (("year", "yyyy", "yr", "y"), ("month", "mm", "mon", "m"), ("day", "dd", "d"))
"""Keys of the three levels of a day, in lower case."""


class Template:
    """Finds the day in a path by a pattern of its folders, such as `dt=%Y-%m-%d` or `year=%Y/month=%m/day=%d`."""

    def __init__(self, text: str):
        """Takes the pattern. Raises ValueError where it does not say a day."""
        self.text = text
        self._pattern = re.compile(f"(?<![^/]){_pattern(text)}(?![^/])")
        self._keys = {key for key, equals, _ in (level.partition("=") for level in text.split("/")) if equals}

    def __str__(self) -> str:
        return self.text

    def day_of(self, path: str) -> date | None:
        """Returns the day of a file, None where its partition is the one of unknown days.

        The last folders that fit count: what lies above may be a copy's own day.

        >>> Template("day=%Y%m%d").day_of("feed/day=20261124/hour=05/a.parquet")
        datetime.date(2026, 11, 24)

        Raises:
            ValueError: No folder says a day.
        """
        found = list(self._pattern.finditer("/".join(folders_of(path))))
        if not found:
            if self.is_unknown(path):
                return None
            raise ValueError(f"in no partition {self.text}")
        parts = {name: int(value) for name, value in found[-1].groupdict().items()}
        if DAY_OF_YEAR in parts:
            return datetime.strptime(f"{parts['Y']} {parts[DAY_OF_YEAR]}", "%Y %j").date()
        return date(parts["Y"], parts["m"], parts["d"])

    def is_unknown(self, path: str) -> bool:
        """Tells whether a file is in a partition of unknown days."""
        return any(key in self._keys and value.lower() in UNKNOWN for key, value in keyed(path).items())


def folders_of(path: str) -> list[str]:
    """Returns the folders of a file's path, without the percent-encoding of hive's values."""
    return [unquote(folder) if "=" in folder else folder for folder in path.split("/")[:-1]]


def keyed(path: str) -> dict[str, str]:
    """Returns keys and values of the hive partitions that a file is in.

    >>> keyed("feed/user_id=a%20b/part-0.parquet")
    {'user_id': 'a b'}
    """
    levels = (folder.partition("=") for folder in folders_of(path))
    return {key: value for key, equals, value in levels if equals}


def _pattern(text: str) -> str:
    """Returns a regular expression for a template. Digits may lack a leading zero where nothing runs into them."""
    pieces = re.split(r"%(.)", text)
    if len(pieces) == 1:
        raise ValueError(f"{text!r} holds no directive; write a day as strftime does, like %Y-%m-%d")
    pattern, used = re.escape(pieces[0]), list[str]()
    for number in range(1, len(pieces), 2):
        name, after = pieces[number], pieces[number + 1]
        before = pieces[number - 1]
        known = DIRECTIVES | {DAY_OF_YEAR: "[0-9]{3}"}
        if name not in known or name in used:
            raise ValueError(f"%{name} in {text!r} is unknown or stands twice; known are %{' %'.join(known)}")
        alone = (number == 1 or before != "") and (number + 2 >= len(pieces) or after != "")
        digits = known[name]
        pattern += f"(?P<{name}>{digits.replace('{', '{1,') if alone and name != 'Y' else digits})" + re.escape(after)
        used.append(name)
    if "Y" not in used or not ({"m", "d"} <= set(used) or DAY_OF_YEAR in used):
        raise ValueError(f"{text!r} says no day: it needs %Y with %m and %d, or with %j")
    return pattern


def guess(paths: Iterable[str]) -> Template | None:
    """Returns how the days of a feed are written, by the first file whose folders say one; None where none do.

    >>> str(guess(["f/year=2026/month=3/day=9/a.csv"])), str(guess(["f/event_date=20261124/a.csv"])), guess(["f/a.csv"])
    ('year=%Y/month=%m/day=%d', 'event_date=%Y%m%d', None)

    Raises:
        ConfigError: Two keys say a day, neither of which is `dt`.
    """
    for path in paths:
        found = _templates(path)
        if "dt" in found or len(found) == 1:
            return Template(found.get("dt") or next(iter(found.values())))
        if found:
            raise ConfigError(
                f"{path}: {' and '.join(found)} both say a day; say which one counts with ingest.partition.key"
            )
    return None


def _templates(path: str) -> dict[str, str]:
    """Returns the templates that fit a file's hive partitions, by key."""
    levels = keyed(path)
    found = {key: f"{key}={format}" for key, value in levels.items() if (format := _format(key, value))}
    keys = list(levels)
    for place in range(len(keys) - 2):
        three = keys[place : place + 3]
        if all(key.lower() in names for key, names in zip(three, LEVELS, strict=True)):
            text = "/".join(f"{key}=%{name}" for key, name in zip(three, "Ymd", strict=True))
            if _fits(text, path):
                found["/".join(three)] = text
    return found


def _format(key: str, value: str) -> str | None:
    for format in FORMATS:
        if (DAY_KEY.search(key) or not value.isdigit()) and _fits(f"{key}={format}", f"{key}={value}/"):
            return format
    return None


def _fits(text: str, path: str) -> bool:
    try:
        day = Template(text).day_of(path)
    except ValueError:
        return False
    return day is not None and 1970 <= day.year <= 2200
