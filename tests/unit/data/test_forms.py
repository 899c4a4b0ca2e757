"""Forms of timestamps: what they read is what Python's own parser reads, and what could be two things is asked for."""

from datetime import UTC, datetime, timedelta

import ibis
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from finest.data import forms
from finest.data.config import Ingest
from finest.data.epoch import microseconds
from finest.data.forms import Form
from finest.data.times import iso_8601, micros, written

MOMENTS = st.datetimes(datetime(1970, 1, 2), datetime(2068, 12, 31)).map(lambda moment: moment.replace(microsecond=0))
EVERY = sorted({form for form, _ in forms._guessed()})
EACH = [
    *forms.WHOLE,
    *(date + " %H:%M" for date in forms.DATES),
    *("%d %b %Y" + clock for clock in forms.CLOCKS),
    *("%d.%m.%Y %H:%M" + zone for zone in forms.ZONES),
]
"""Forms that have each date, clock and zone once."""


def read(texts: list[str], form: str) -> list[int | None]:
    """Returns microseconds as ingest reads them, by DuckDB; None for what is no time."""
    rows = ibis.memtable({"text": texts}, schema={"text": "string"})
    rows = rows.mutate(written=written(rows.text, Form(form)))  # steps of their own, as in ingest: computed once
    rows = rows.mutate(iso=iso_8601(rows.written))
    time, exists = micros(rows.text, "s", rows.iso, ibis.null(str))
    found = rows.select(time=time, exists=exists).to_pyarrow().to_pylist()
    return [row["time"] if row["exists"] else None for row in found]


@pytest.mark.parametrize("form", EACH)
def test_every_form_that_is_guessed_reads_what_python_writes(form: str) -> None:
    moments = [
        datetime(1999, 12, 31, 23, 59, 58, 120_000),
        datetime(2024, 2, 29, 12, 5),
        datetime(2000, 1, 2, 0, 30, 7),
    ]
    moments = [moment.replace(tzinfo=UTC) for moment in moments]
    texts = [moment.strftime(form) for moment in moments]
    again = [datetime.strptime(text, form) for text in texts]
    assert read(texts, form) == [microseconds(moment) for moment in again]
    assert [forms.day(text, form) for text in texts] == [f"{moment:%Y-%m-%d}" for moment in moments]
    assert form in forms.guess(texts)


@settings(max_examples=20, deadline=None)
@given(st.lists(MOMENTS, min_size=1, max_size=20), st.sampled_from(EVERY), st.integers(-14 * 60, 14 * 60))
def test_any_time_in_any_form_is_that_time(moments: list[datetime], form: str, minutes: int) -> None:
    zone = timedelta(minutes=minutes)
    clock = f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}{abs(minutes) % 60:02}"
    texts = [moment.strftime(form.replace("%z", clock)) for moment in moments]
    expected = [datetime.strptime(moment.strftime(form), form.replace("%z", "")) for moment in moments]
    shift = zone if "%z" in form else timedelta(0)
    assert read(texts, form) == [microseconds(moment.replace(tzinfo=UTC) - shift) for moment in expected]


def test_what_is_no_such_time_is_none_and_iso_8601_is_read_beside_it() -> None:
    texts = ["31.02.2024 1:02", "1.13.2024 1:02", "1.2.2024 24:00", "1.2.2024", "1.2.2024 1:02 ", "1700000000", ""]
    assert read([*texts, "2024-02-01 01:02", "1.2.2024 1:2"], "%d.%m.%Y %H:%M") == [
        *[None] * len(texts),
        *[microseconds(datetime(2024, 2, 1, 1, 2))] * 2,
    ]
    assert read(["2024013", "202401", "20240230"], "%Y%m%d") == [None] * 3
    assert read(["MAY 3, 1999 12:30 p.m.", "sept 03, 1999  12:00 AM", "Aur 3, 1999 1:00 pm"], "%b %d, %Y %I:%M %p") == [
        microseconds(datetime(1999, 5, 3, 12, 30)),
        microseconds(datetime(1999, 9, 3)),
        None,
    ]


def test_what_could_be_two_things_is_both_until_one_text_tells() -> None:
    assert forms.guess(["01/02/2024 10:00"]) == ["%d/%m/%Y %H:%M", "%m/%d/%Y %H:%M"]
    assert forms.guess(["01/02/2024 10:00"] * 98 + ["13/02/2024 10:00"]) == ["%d/%m/%Y %H:%M"]
    assert forms.guess(["01/02/2024 10:00"] * 8 + ["nothing"] * 2) == []
    for numbers in ("1700000000", "1700000000000", "12345678", "99999999999999", "17"):
        assert forms.guess([numbers]) == []


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ("%d.%m", "a day needs"),
        ("%Y-%m-%d %j", "%j is not known"),
        ("%Y-%m-%d %I:%M", "%I goes with %p"),
        ("%Y-%m-%d %y", "a day"),
        ("%Y-%m-%d %d", "%d comes twice"),
        ("%", "a day needs"),
    ],
)
def test_a_form_that_is_none_is_said(form: str, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Ingest(timestamp_format=form)


def test_a_form_goes_without_a_unit() -> None:
    with pytest.raises(ValidationError, match="leave `timestamp_unit` out"):
        Ingest(timestamp_format="%d.%m.%Y", timestamp_unit="ms")
