"""Timestamps from text."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import ROUND_FLOOR, Decimal
from functools import cache
from typing import Any, get_args

import ibis
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finest.data.epoch import END
from finest.data.forms import SHIFT, Unit
from finest.data.times import micros, whole, within

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@cache
def parser(unit: Unit) -> tuple[Any, str]:
    """Returns a database with an empty table of texts, and the SQL that reads them as times, slow to make."""
    connection = ibis.duckdb.connect()
    texts = connection.create_table("texts", schema={"text": "string"})
    time, told = micros(texts.text, unit)
    query = texts.select(time=time, told=told, within=within(time), whole=whole(texts.text, unit))
    return connection, str(connection.compile(query))


def parse(texts: list[str], unit: Unit = "s") -> list[int | str]:
    """Microseconds of each text, or what is wrong with it. Where `whole` says a time, it is the same."""
    connection, query = parser(unit)
    connection.create_table("texts", pa.table({"text": pa.array(texts, pa.string())}), overwrite=True)
    rows = connection.con.sql(query).to_arrow_table().to_pylist()
    assert len(rows) == len(texts)
    assert all(row["told"] and row["whole"] == row["time"] for row in rows if row["whole"] is not None)
    return [
        row["time"] if row["told"] and row["within"] else "out of range" if row["told"] else "unparsable"
        for row in rows
    ]


@pytest.mark.parametrize(
    ("unit", "text", "expected"),
    [
        ("s", "881250949", 881250949_000000),
        ("s", "881250949.5", 881250949_500000),
        ("s", "881250949.1234567", 881250949_123456),
        ("s", "0000000000000000000000007", 7_000000),
        ("ms", "881250949123.5", 881250949_123500),
        ("us", "881250949123456.9", 881250949_123456),
        ("ns", "881250949123456789", 881250949_123456),
        ("ns", "12", 0),
        ("ns", "800000000000008900", 800000000000008),
    ],
)
def test_plain_numbers_are_exact_in_every_unit(unit: Unit, text: str, expected: int) -> None:
    assert parse([text], unit) == [expected]


@settings(max_examples=5, deadline=None)
@given(
    st.sampled_from(get_args(Unit)),
    st.lists(st.from_regex(r"-?[0-9]{1,20}(\.[0-9]{1,4})?", fullmatch=True), min_size=50),
)
def test_plain_numbers_are_what_decimal_arithmetic_says(unit: Unit, texts: list[str]) -> None:
    exact = [int(Decimal(text).scaleb(SHIFT[unit]).to_integral_value(ROUND_FLOOR)) for text in texts]
    assert parse(texts, unit) == [
        time if 0 <= time < END and not text.startswith("-") else "out of range"
        for time, text in zip(exact, texts, strict=True)
    ]


def test_whatever_is_no_plain_decimal_and_no_iso_time_is_unparsable() -> None:
    texts = [
        "1e3",
        "0x10",
        "1_000",
        "nan",
        "inf",
        "+5",
        ".5",
        "5.",
        " 5",
        "5 ",
        "5\n",
        "1,5",
        "\u0663",
        "yesterday",
        "true",
        "5s",
        "1d",
    ]
    texts += [
        "2024-13-01",
        "2023-02-29",
        "2024-1-1",
        "2024-01-01T24:00",
        "2024-01-01T10:60",
        "2024-01-01T10:00:00+25:00",
        "01/02/2024",
    ]
    assert parse(texts) == ["unparsable"] * len(texts)


def test_years_before_1970_and_after_2200_are_out_of_range() -> None:
    texts = ["-5", "7289654400", "99999999999999999999999"]
    texts += ["1969-12-31T23:59:59.999999Z", "2201-01-01", "0001-01-01", "1970-01-01T00:00+01:00"]
    assert parse(texts) == ["out of range"] * len(texts)
    assert parse(["0", "7289654399.999999", "1970-01-01", "2200-12-31T23:59:59.999999Z"]) == [0, END - 1, 0, END - 1]


def test_iso_times_without_a_zone_are_utc() -> None:
    texts = ["2024-02-29", "2024-02-29T00:00", "2024-02-29 00:00:00", "2024-02-29T00:00:00Z"]
    texts += ["2024-02-29T02:00+02:00", "2024-02-28T18:30:00.000-0530"]
    assert set(parse(texts)) == {1709164800_000000}


@settings(max_examples=5, deadline=None)
@given(
    st.lists(
        st.tuples(st.datetimes(datetime(1970, 1, 2), datetime(2200, 12, 30)), st.integers(-14 * 60, 14 * 60)),
        min_size=50,
    )
)
def test_iso_times_mean_what_python_says(moments: list[tuple[datetime, int]]) -> None:
    zoned = [moment.replace(tzinfo=timezone(timedelta(minutes=offset))) for moment, offset in moments]
    assert parse([moment.isoformat() for moment in zoned]) == [
        (moment - EPOCH) // timedelta(microseconds=1) for moment in zoned
    ]
