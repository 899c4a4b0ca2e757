"""Cards of lists that moved: what they were, what they became, and why they are shown."""

from collections.abc import Sequence
from itertools import zip_longest
from typing import Any

from finest.gate.verdict import Example

SHOWN_FOR = {
    "with": "Moved most by edits, with FINEST",
    "without": "Moved most by edits, without FINEST",
    "typical": "A typical user: the median of all lists, with FINEST",
    "champion": "Champion against candidate: the user who sees most change",
    "typical champion": "Champion against candidate: a typical user, with the median change",
}
"""Why lists are shown, in words, in the order of the page."""


def cards(examples: Sequence[Example]) -> list[tuple[str, list[dict[str, Any]]]]:
    """Returns cards of lists before and after, under the words that say why they are shown."""
    return [
        (
            words,
            [
                {"of": one, "with": marks(one.before, one.after), "without": marks(one.before_base, one.after_base)}
                for one in examples
                if one.why == why
            ],
        )
        for why, words in SHOWN_FOR.items()
        if any(one.why == why for one in examples)
    ]


def marks(before: list[str], after: list[str]) -> list[dict[str, Any]]:
    """Returns two lists row by row: was the old item dropped, and where does the new one come from?

    `moved` is the number of places that it went up; None for a new item.
    """
    place = {item: rank for rank, item in enumerate(before)}
    return [
        {"before": old, "gone": old not in after, "after": new, "moved": place[new] - rank if new in place else None}
        for rank, (old, new) in enumerate(zip_longest(before, after, fillvalue=""))
    ]
