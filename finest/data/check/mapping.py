"""Which columns hold user, item and timestamp: by their names, else by what stands in them."""

import re
from typing import NamedTuple

from finest.data.forms import ISO_8601, Form, in_python
from finest.data.units import NAMES, kinds

USERS = (
    "userid",
    "user",
    "uid",
    "visitorid",
    "customerid",
    "clientid",
    "memberid",
    "accountid",
    "reviewerid",
    "usersk",
    "userpseudoid",
    "buyerid",
    "customer",
    "visitor",
    "member",
    "uuid",
    "username",
    "author",
    "sessionid",
    "session",
)
ITEMS = (
    "itemid",
    "item",
    "iid",
    "movieid",
    "productid",
    "sku",
    "asin",
    "parentasin",
    "articleid",
    "trackid",
    "songid",
    "artistid",
    "bookid",
    "isbn",
    "contentid",
    "newsid",
    "listingid",
    "videoid",
    "gameid",
    "appid",
    "businessid",
    "goodsid",
    "adgroupid",
    "stockcode",
    "productcode",
    "product",
    "article",
    "movie",
    "content",
    "url",
    "target",
)
TIMES = (
    "timestamp",
    "ts",
    "time",
    "datetime",
    "eventtime",
    "eventtimestamp",
    "date",
    "createdat",
    "unixreviewtime",
    "unixtime",
    "starttime",
    "viewtime",
    "clicktime",
    "purchasedate",
    "orderdate",
    "invoicedate",
    "tdat",
    "timemicros",
    "timems",
    "eventdate",
    "occurredat",
    "ratingtimestamp",
    "day",
    "updatedat",
)
"""Names of columns without case, blanks and underscores, the likeliest first."""
KNOWN: dict[str, tuple[str, ...]] = {"user": USERS, "item": ITEMS, "timestamp": TIMES}
MOSTLY = 0.9
"""Share of a column's values that must be times."""


class Guess(NamedTuple):
    """Says which column has a role, and why."""

    column: str | int
    why: str


def guess_columns(names: list[str] | None, rows: list[list[str]]) -> dict[str, Guess]:
    """Returns the columns of user, item and timestamp, as far as they can be told.

    >>> found = guess_columns(["visitorid", "event", "itemid", "ts"], [["7", "view", "i1", "1700000000000"]])
    >>> [(role, guess.column) for role, guess in found.items()]
    [('user', 'visitorid'), ('item', 'itemid'), ('timestamp', 'ts')]

    Args:
        names: The columns' names, None where there are none.
        rows: Some rows, as text.
    """
    width = len(names) if names else max(map(len, rows), default=0)
    times = {at: why for at in range(width) if (why := _times([row[at] for row in rows if at < len(row)]))}
    if names is None:
        return _by_place(width, times)
    found = {}
    plain = [re.sub(r"[^a-z0-9]", "", name.lower()) for name in names]
    for role, known in KNOWN.items():
        named = [(known.index(name), at) for at, name in enumerate(plain) if name in known and plain.count(name) == 1]
        if role == "timestamp" and times:
            named = [(rank, at) for rank, at in named if at in times]
        if named:
            at = min(named)[1]
            more = f", and holds {times[at]}" if role == "timestamp" and at in times else ""
            found[role] = Guess(names[at], f"by its name{more}")
        elif role == "timestamp" and len(times) == 1:
            (at,) = times
            found[role] = Guess(names[at], f"it alone holds times: {times[at]}")
    return found


def _by_place(width: int, times: dict[int, str]) -> dict[str, Guess]:
    """Returns the first two columns and that of times, where there is one; user comes before item nearly everywhere."""
    if not times or width < 3:
        return {}
    at = max(times)
    first, second, *_ = (place for place in range(width) if place != at)
    return {
        "user": Guess(first, "the first column of a file without a header"),
        "item": Guess(second, "the second column of a file without a header"),
        "timestamp": Guess(at, f"holds {times[at]}"),
    }


def _times(values: list[str]) -> str:
    """Returns in words which times a column holds; '' for none."""
    values = [value for value in values if value]
    if not values:
        return ""
    if sum(bool(re.match(in_python(ISO_8601), value)) for value in values) >= MOSTLY * len(values):
        return "times in ISO 8601"
    known = kinds(values)
    if not known:
        return ""
    return f"times like {values[0]}" if isinstance(known[0], Form) else NAMES[known[0]]
