"""What is between the fields of a text file, told from its first lines."""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from itertools import islice, pairwise
from typing import NamedTuple

WHITESPACE = "whitespace"
"""Stands for any number of blanks and tabs."""
CANDIDATES = (",", "\t", ";", "|", "::", "\x01", "\x1f", "^", "~")
"""Separators that are tried, with a blank beside them or not, and blanks after them: texts are full of these. Of those
that fit equally well, the first one is taken."""
EXCEL = re.compile(r'"?sep=(.{1,4}?)"?\n', re.IGNORECASE)
"""A first line that names the separator, for spreadsheet programs."""
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


class Start(NamedTuple):
    """Holds what stands before the records of a file."""

    lines: int
    """Number of lines that are none: blank, comments, the one that names the separator."""
    comments: int
    separator: str | None
    """The separator, where a line names it."""
    text: str
    """What comes behind them."""


def start(text: str) -> Start:
    r"""Passes over what stands before the first record.

    A line that begins with # is a comment, unless it has as many fields as the lines that do not.

    >>> start("sep=;\nuser;item\n"), start("\n# of today\nuser,item\n").lines, start("#user,item\n1,2\n").lines
    (Start(lines=1, comments=0, separator=';', text='user;item\n'), 2, 0)
    """
    left = re.sub(r"\A( *\n)+", "", text)
    named = EXCEL.match(left)
    if named:
        left = left[named.end() :]
    first = re.search(r"^[^#\n]", left, re.MULTILINE) if left.startswith("#") else None
    comments = 0
    if first:
        rest = guess(left[first.start() :], '"', CANDIDATES[0])
        while left.startswith("#"):
            line, _, behind = left.partition("\n")
            if rest.alike and len(next(records(line, rest.separator, '"'))) == rest.width:
                break
            left, comments = re.sub(r"\A( *\n)+", "", behind), comments + 1
    return Start(text[: len(text) - len(left)].count("\n"), comments, named[1] if named else None, left)


def cut(
    begin: Start,
    separator: str | None,
    quote: str,
    usual: str,
    fits: Callable[[list[str]], bool] = lambda record: False,
) -> Sample:
    """Returns the records as the separator that is given cuts them, or that the file names, or the likeliest.

    Args:
        begin: The file's start.
        separator: The separator, where it is given.
        quote: What may be around a field.
        usual: As `guess`.
        fits: As `guess`.
    """
    if separator is not None:
        return sample(begin.text, separator, quote)
    if begin.separator is not None:
        return _with_blanks(begin.text, begin.separator, quote)
    return guess(begin.text, quote, usual, fits)


def guess(text: str, quote: str, usual: str, fits: Callable[[list[str]], bool] = lambda record: False) -> Sample:
    """Returns the records as the likeliest separator cuts them.

    That is one whose first record `fits`, as a header does that has all names; otherwise one that cuts all records into
    the same number of fields, the more the better; otherwise the usual one.

    Args:
        text: The file's start.
        quote: What may be around a field.
        usual: The separator that the file's name speaks of.
        fits: Tells whether a first record holds what is looked for.
    """
    cuts = [_with_blanks(text, separator, quote) for separator in dict.fromkeys((usual, *CANDIDATES))]
    blanks = _blanks(text, quote)
    if fitting := next((cut for cut in (*cuts, blanks) if cut.records and fits(cut.records[0])), None):
        return fitting
    if alike := [cut for cut in cuts if cut.alike]:
        return max(alike, key=lambda cut: cut.width)
    return blanks if blanks.alike else cuts[0]


def _with_blanks(text: str, separator: str, quote: str) -> Sample:
    """Returns the records as a separator cuts them, and one blank before or behind it that is everywhere."""
    cut = sample(text, separator, quote)
    inner = [(left, right) for record in cut.records for left, right in pairwise(record)]
    before = " " if inner and all(left.endswith(" ") for left, _ in inner) else ""
    behind = " " if inner and all(right.startswith(" ") for _, right in inner) else ""
    return sample(text, before + separator + behind, quote) if before or behind else cut


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


def inside(quote: str) -> str:
    """Returns the pattern of what may stand between the quotes of a field, in which one quote is two."""
    # Without possessive repeats: Python 3.11.0 to 3.11.4, Debian's among them, match them wrongly.
    around = re.escape(quote)
    return rf"[^{around}]*(?:{around}{around}[^{around}]*)*"


@cache
def _field(separator: str, quote: str) -> re.Pattern[str]:
    cut, first, around = re.escape(separator), re.escape(separator[0]), re.escape(quote)
    plain = rf"([^\n{first}]*(?:(?!{cut}){first}[^\n{first}]*)*)"
    if not quote:
        return re.compile("(?!)()|" + plain)
    return re.compile(rf"{around}({inside(quote)}){around}(?={cut}|\n|\Z)|{plain}")
