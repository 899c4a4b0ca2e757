"""Prints what came from outside as the text that it is: ids, names, paths and messages are never markup.

Every table and every line of the command line is made here.
"""

import re
import textwrap
from collections.abc import Iterable
from typing import Any

from rich import table
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from finest.errors import escaped

CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
"""Pattern of characters that move the cursor, colour what follows, or turn its direction round."""


UNBROKEN: dict[str, Any] = {"break_long_words": False, "break_on_hyphens": False}
GLUE = "\x00"
"""Stands for a blank that no line may end at; no text that is shown has this character."""
READABLE = 20
"""Number of characters of a cell that stay in one line; a longer one is broken at its blanks where room is scarce."""


def shown(text: str) -> str:
    r"""Returns the text with an escape for every character that a terminal would obey.

    >>> shown("a\x1b[2Jb")
    'a\\x1b[2Jb'
    """
    return escaped(CONTROLS, text)


def say(console: Console, line: str, indent: int | None = None, style: str | None = None) -> None:
    """Prints a line as it is.

    Args:
        console: Where to print.
        line: The line.
        indent: Number of spaces before what goes on below, where the line is wider than the console; None: no break.
        style: Rich's name of a style.
    """
    if indent is not None:
        line = textwrap.fill(line, console.width, subsequent_indent=" " * indent, **UNBROKEN)
    console.print(Text(shown(line), style=style or ""), soft_wrap=True)


class Table(table.Table):
    """A table of rich's whose headings, title and cells are text, and of which nothing is cut."""

    def __init__(self, *headings: str, title: str = ""):
        super().__init__(title=Text(shown(title), style="table.title") if title else None, title_justify="left")
        for heading in headings:
            self.add_column(heading)

    def add_column(self, header: Any = "", *more: Any, **options: Any) -> None:
        """Adds a column, whose heading is text."""
        super().add_column(_text(header), *more, **options)

    def add_row(self, *cells: Any, **options: Any) -> None:
        """Adds a row, whose cells are text."""
        super().add_row(*map(_text, cells), **options)

    def show(self, console: Console) -> None:
        """Prints the table: no word and no number of it is cut, however narrow the console is.

        Where the columns do not fit beside each other, every row is a paragraph of its own.
        """
        widths = self._widths(console.width)
        if widths is None:
            self._show_rows(console)
            return
        for column, width in zip(self.columns, widths, strict=True):
            column.width = width
        console.print(self)

    def _widths(self, most: int) -> list[int] | None:
        """Returns the columns' widths in a table of so many characters at most; None where they need more."""
        room = most - 3 * len(self.columns) - 1  # a blank on either side of a cell, and lines between
        whole, least = [], []
        for column in self.columns:
            heading, cells = _of(column.header), [_of(cell) for cell in column.cells]
            lines = _longest(line for text in (heading, *cells) for line in text.split("\n"))
            words = _longest(word for text in (heading, *cells) for word in text.split())
            short = min(_longest(line for text in cells for line in text.split("\n")), READABLE)
            whole.append(lines)
            least.append(max(words, short))
        if sum(whole) <= room:
            return whole
        left = room - sum(least)
        if left < 0:
            return None
        wanted = [more - less for more, less in zip(whole, least, strict=True)]
        return [less + left * more // sum(wanted) for less, more in zip(least, wanted, strict=True)]

    def _show_rows(self, console: Console) -> None:
        headings = [" ".join(_of(column.header).split()) for column in self.columns]
        if self.title:
            say(console, _of(self.title), indent=2, style="table.title")
        for row in zip(*(column.cells for column in self.columns), strict=True):
            first, *others = map(_of, row)
            say(console, " ".join(filter(None, [headings[0], first])), indent=2, style="bold")
            pairs = [f"{name} {cell}".strip() for name, cell in zip(headings[1:], others, strict=True) if cell]
            short = [pair for pair in pairs if len(pair) <= 2 * READABLE]
            if short:
                glued = ", ".join(pair.replace(" ", GLUE) for pair in short)  # a number stays with its name
                filled = textwrap.fill(glued, console.width, initial_indent="  ", subsequent_indent="  ", **UNBROKEN)
                for line in filled.replace(GLUE, " ").split("\n"):
                    say(console, line)
            for pair in pairs:
                if pair not in short:
                    say(console, f"  {pair}", indent=4)


def _text(cell: Any) -> Any:
    return Text(shown(cell)) if isinstance(cell, str) else cell


def _of(cell: Any) -> str:
    """Returns what a cell says."""
    return cell.plain if isinstance(cell, Text) else str(cell)


def _longest(texts: Iterable[str]) -> int:
    return max(map(cell_len, texts), default=0)
