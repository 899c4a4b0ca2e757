"""What is between the fields of a text file, told from its first lines."""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from itertools import islice
from typing import NamedTuple

WHITESPACE = "whitespace"
"""Stands for any number of blanks and tabs."""
CANDIDATES = (",", "\t", ";", "|", "::")
"""Separators that are tried, and blanks after them: texts are full of these. Of those that fit equally well, the first
one is taken."""
SAMPLE = 100
"""Number of records that are looked at."""
ALIKE = 0.9
"""Share of the records that must have the same number of fields."""


class Sample(NamedTuple):
    """Holds the first records of a file, as a separator cuts them."""

    separator: str
    records: list[list[str]]

    @property
    def width(self) -> int:
        """Returns the number of fields that most records have, the first one aside: it may be a header."""
        counts = Counter(len(record) for record in self.records[1:] or self.records)
        return max(counts, key=lambda width: (counts[width], width), default=0)

    @property
    def alike(self) -> bool:
        """Whether there are at least two fields, as many in nearly all records."""
        same = sum(len(record) == self.width for record in self.records)
        return self.width > 1 and same >= ALIKE * len(self.records)


def sample(text: str, separator: str, quote: str) -> Sample:
    """Returns the first records of a text, whose lines end in a line feed."""
    return Sample(separator, list(islice(records(text, separator, quote), SAMPLE)))


def guess(text: str, quote: str, usual: str, fits: Callable[[list[str]], bool]) -> Sample:
    """Returns the records as the likeliest separator cuts them.

    That is one whose first record `fits`, as a header does that has all names; otherwise one that cuts all records into
    the same number of fields, the more the better; otherwise the usual one.

    Args:
        text: The file's start.
        quote: What may be around a field.
        usual: The separator that the file's name speaks of.
        fits: Tells whether a first record holds what is looked for.
    """
    order = list(dict.fromkeys((usual, *CANDIDATES)))
    first = {separator: next(records(text, separator, quote), []) for separator in (*order, WHITESPACE)}
    for separator in (*order, WHITESPACE):
        if fits(first[separator]):
            return _blanks(text, quote) if separator == WHITESPACE else sample(text, separator, quote)
    alike = [found for separator in order if (found := sample(text, separator, quote)).alike]
    if alike:
        return max(alike, key=lambda found: found.width)
    blanks = _blanks(text, quote)
    return blanks if blanks.alike else sample(text, usual, quote)


def _blanks(text: str, quote: str) -> Sample:
    """Returns the records as blanks cut them: one each, or any number where some fields would be empty."""
    single = sample(text, " ", quote)
    return single if single.alike and "" not in single.records[0] else sample(text, WHITESPACE, quote)


def records(text: str, separator: str, quote: str) -> Iterator[list[str]]:
    """Yields the records of a text, blank lines left out.

    >>> list(records('a::"b::c"::d', "::", '"')), list(records(" a  b", "whitespace", '"'))
    ([['a', 'b::c', 'd']], [['a', 'b']])
    """
    if separator == WHITESPACE:
        yield from (words(line) for line in text.split("\n") if line.strip(" \t"))
        return
    field, place, record = _field(separator, quote), 0, list[str]()
    while place < len(text) or record:
        match = field.match(text, place)
        assert match is not None  # an unquoted field may be empty
        quoted, plain = match.groups()
        record.append(plain if quoted is None else quoted.replace(quote * 2, quote))
        place = match.end()
        if text.startswith(separator, place):
            place += len(separator)
            continue
        if record != [""]:
            yield record
        record, place = [], place + 1


def words(line: str) -> list[str]:
    """Returns what blanks and tabs separate, whichever their number."""
    return re.split(r"[ \t]+", line.strip(" \t"))


@cache
def _field(separator: str, quote: str) -> re.Pattern[str]:
    cut, around = re.escape(separator), re.escape(quote)
    plain = rf"((?:(?!{cut})[^\n])*+)"
    if not quote:
        return re.compile("(?!)()|" + plain)
    return re.compile(rf"{around}((?:[^{around}]|{around}{around})*+){around}(?={cut}|\n|\Z)|{plain}")
