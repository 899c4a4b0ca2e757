"""Days in folders, however they are written: the same night from all of them."""

import logging
from datetime import date
from typing import Any

import pytest

from finest.data.config import Ingest, Partition
from finest.data.source import SourceFile
from finest.data.window import missing, prune, template
from finest.errors import ConfigError, DataError
from tests.integration.data.conftest import Ingested
from tests.integration.data.test_window import rows_of, tonight

DAYS = {date(2026, 11, day): rows_of(date(2026, 11, day), day) for day in range(18, 24)}
GUESSED = [
    "dt=%Y-%m-%d",
    "ds=%Y%m%d",
    "event_date=%Y-%m-%d/region=eu",
    "year=%Y/month=%m/day=%d",
    "Year=%Y/Month=%m/Day=%d/hour=05",
    "y=%Y/m=%m/d=%d",
    "dt=%Y-%m-%d-07",
    "dt=%Y%m%d07",
    "dt=%Y-%m-%d 00%%3A00%%3A00",
    "dt=%Y-%m-%d/ingested=2026-12-01",
]
SAID: dict[str, dict[str, str]] = {
    "day=%Y%m%d": {"key": "day", "format": "%Y%m%d"},
    "%Y/%m/%d": {"format": "%Y/%m/%d"},
    "%Y-%m-%d": {"format": "%Y-%m-%d"},
    "d=%d.%m.%Y": {"key": "d", "format": "%d.%m.%Y"},
    "day=%Y%j": {"key": "day", "format": "%Y%j"},
    "ts=%Y%m%dT0500": {"key": "ts", "format": "%Y%m%dT%H%M"},
    "at=%m%%2F%d%%2F%Y": {"key": "at", "format": "%m/%d/%Y"},
}


@pytest.fixture(scope="module")
def expected(ingested: Ingested) -> str:
    """Fingerprint of the night from dt=."""
    return ingested({f"dt={day}/a.parquet": table for day, table in DAYS.items()}, **tonight())[0].fingerprint


@pytest.mark.parametrize("written", [*GUESSED, *SAID])
def test_a_night_is_the_same_however_days_are_written(written: str, expected: str, ingested: Ingested) -> None:
    files = {f"feed/{day:{written}}/a.parquet": table for day, table in DAYS.items()}
    manifest, _ = ingested(files, **tonight(), partition=SAID.get(written, {}))
    assert (manifest.fingerprint, manifest.source_rows, manifest.late_rows) == (expected, 240, 0)
    assert manifest.missing_days == ()


def test_leading_zeros_may_be_missing(ingested: Ingested) -> None:
    days = [date(2026, 2, day) for day in range(7, 12)]
    files = {f"year={d.year}/month={d.month}/day={d.day}/a.parquet": rows_of(d, d.day) for d in days}
    manifest, _ = ingested(files, since=date(2026, 2, 8), until=date(2026, 2, 10))
    assert (manifest.source_rows, manifest.first_timestamp // 86_400_000_000) == (
        180,
        (days[1] - date(1970, 1, 1)).days,
    )


def test_rows_that_come_late_are_counted_in_any_partition(ingested: Ingested) -> None:
    files = {f"year={day:%Y/month=%m/day=%d}/a.parquet": table for day, table in DAYS.items()}
    late = DAYS[date(2026, 11, 21)].slice(53)
    manifest, _ = ingested(files | {"year=2026/month=11/day=23/late.parquet": late}, **tonight())
    assert manifest.late_rows == 7


@pytest.mark.parametrize("unknown", ["__HIVE_DEFAULT_PARTITION__", "null", ""])
def test_rows_of_unknown_days_are_left_out_of_a_window_and_said_and_read_without_one(
    unknown: str, expected: str, ingested: Ingested, caplog: pytest.LogCaptureFixture
) -> None:
    files = {f"dt={day}/a.parquet": table for day, table in DAYS.items()}
    files[f"dt={unknown}/a.parquet"] = rows_of(date(2026, 11, 22), 7)
    with caplog.at_level(logging.WARNING):
        manifest, _ = ingested(files, **tonight())
    assert manifest.fingerprint == expected and manifest.missing_days == ()
    assert any("1 file(s) of unknown days are left out of the window" in line for line in caplog.messages)
    assert ingested(files)[0].source_rows == 7 * 60
    levels = {f"year=2026/month=11/day={unknown}/a.parquet": rows_of(date(2026, 11, 22), 7)}
    levels |= {f"year={day:%Y/month=%m/day=%d}/a.parquet": table for day, table in DAYS.items()}
    assert ingested(levels, **tonight())[0].fingerprint == expected


def test_a_feed_of_unknown_days_alone_is_one_line() -> None:
    files = [SourceFile("f/dt=__HIVE_DEFAULT_PARTITION__/a.csv", 1, "")]
    config = Ingest(since=date(2026, 11, 1), partition=Partition(key="dt"))
    assert missing(files, config) == ()
    with pytest.raises(DataError, match="none of the 1 files lies in a partition dt=%Y-%m-%d between 2026-11-01"):
        prune(files, config)


def test_an_id_that_stands_in_folders_alone_is_one_line(ingested: Ingested) -> None:
    table = rows_of(date(2026, 11, 18)).drop_columns(["user_id"])
    with pytest.raises(
        DataError, match=r"no column 'user_id'.*the folder's user_id= is not read as a column: write it"
    ):
        ingested({f"user_id={user}/a.parquet": table for user in range(2)})


def test_days_that_are_missing_are_found_in_any_partition() -> None:
    files = [SourceFile(f"f/2026/11/{day}/05/a.csv", 1, "") for day in (19, 20, 22)]
    config = Ingest(partition=Partition(format="%Y/%m/%d"), since=date(2026, 11, 19), until=date(2026, 11, 22))
    assert missing(files, config) == (date(2026, 11, 21),)
    with pytest.raises(DataError, match=r"have no partition %Y/%m/%d \(2026-11-21\)"):
        missing(files, config.model_copy(update={"max_missing_days": 0}))


def test_the_folders_next_to_the_file_count_and_not_those_of_a_copy() -> None:
    file = SourceFile("/backup/dt=2026-11-30/feed/dt=2026-11-20/a.csv", 1, "")
    assert prune([file], Ingest(until=date(2026, 11, 21))) == [file]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("f/2026-11-20/a.csv", "in no partition dt=YYYY-MM-DD, nor another that says a day; .*ingest.partition"),
        ("f/campaign=20261120/a.csv", "in no partition dt=YYYY-MM-DD, nor another"),
        ("f/dt=2026-13-01/a.csv", "in no partition dt=YYYY-MM-DD, nor another"),
        ("f/year=2026/month=11/a.csv", "in no partition dt=YYYY-MM-DD, nor another"),
        ("f/seen=2026-11-20/made=2026-11-21/a.csv", "seen and made both say a day; .*ingest.partition.key"),
    ],
)
def test_folders_that_say_no_day_or_two_are_one_line(path: str, message: str) -> None:
    with pytest.raises((DataError, ConfigError), match=f"^{path}: {message}"):
        prune([SourceFile(path, 1, "")], Ingest(since=date(2026, 11, 1)))


def test_a_file_among_partitions_that_is_in_none_is_named() -> None:
    files = [SourceFile(path, 1, "") for path in ("f/ds=2026-11-20/a.csv", "f/stray.csv")]
    with pytest.raises(DataError, match=r"f/stray\.csv: in no partition ds=%Y-%m-%d; .*ingest\.partition"):
        prune(files, Ingest(since=date(2026, 11, 1)))
    assert template(files, Ingest()).text == "ds=%Y-%m-%d"


@pytest.mark.parametrize(
    ("partition", "message"),
    [
        ({"format": "%Y-%m"}, "says no day"),
        ({"format": "day"}, "holds no directive"),
        ({"format": "%Y%m%d%Q"}, "%Q"),
        ({"format": "%Y%m%d%d"}, "twice"),
        ({"key": "day="}, "a partition's name alone"),
        ({"key": ""}, "a partition's name alone"),
    ],
)
def test_a_format_that_cannot_say_a_day_is_refused(partition: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Ingest.model_validate({"partition": partition})
