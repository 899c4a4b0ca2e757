"""The report's table of the night's data."""

from typing import Any

from finest.data.compared import Compared, Found
from finest.data.description import MEASURES
from finest.plural import counted
from finest.report.form import number, percent

STATUS = {"usual": "usual", "unusual": "unusual", "refused": "beyond its bound", "alone": "nothing to compare with"}
"""What a number is, in words."""


def table(compared: Compared | None) -> dict[str, Any] | None:
    """Returns what is said of the nights, and the rows of the table: words, tonight, the earlier nights, status.

    None where the data says nothing of itself.
    """
    if compared is None:
        return None
    between = f"{compared.since[:10]} to {compared.until[:10]}" if compared.nights > 1 else compared.since[:10]
    nights = f"{counted(compared.nights, 'earlier night')} of the line ({between})"
    return {
        "nights": nights if compared.nights else "",
        "why_none": compared.why_none,
        "rows": [
            {
                "words": f"{one.words[:1].upper()}{one.words[1:]}",
                "tonight": written(one, one.value),
                "earlier": earlier(one),
                "status": one.status,
                "said": STATUS[one.status] + (f" (ingest.expect.{one.option})" if one.option else ""),
            }
            for one in compared.found
        ],
    }


def earlier(one: Found) -> str:
    """Returns the least and the most that earlier nights had; a dash without any."""
    low, high = written(one, one.low), written(one, one.high)
    return low if low == high else f"{low} to {high}"


def written(one: Found, value: float | None) -> str:
    """Returns a number of the data for people.

    >>> one = Found(name="gap_days", words="days without a row", value=0)
    >>> written(one, 0), written(one, 48.7)
    ('0', '48.7')
    """
    share = MEASURES[one.name].form == "share" if one.name in MEASURES else one.name == "kept_rows"
    if share or value is None:
        return percent(value)
    return f"{value:,.0f}" if value == round(value) else number(value)
