"""Prints what came from outside as the text that it is: ids, names, paths and messages are never markup.

Every table and every line of the command line is made here.
"""

import re
import textwrap
from typing import Any

from rich import table
from rich.console import Console
from rich.text import Text

from finest.errors import escaped

CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
"""Pattern of characters that move the cursor, colour what follows, or turn its direction round."""


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
        line = textwrap.fill(
            line, console.width, subsequent_indent=" " * indent, break_long_words=False, break_on_hyphens=False
        )
    console.print(Text(shown(line), style=style or ""), soft_wrap=True)


class Table(table.Table):
    """A table of rich's whose headings, title and cells are text."""

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


def _text(cell: Any) -> Any:
    return Text(shown(cell)) if isinstance(cell, str) else cell
