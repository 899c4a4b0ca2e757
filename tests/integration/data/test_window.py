"""The days that a night reads, and what a feed does to them."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from finest.data.config import Ingest, Split
from finest.data.source import SourceFile
from finest.data.window import missing, moment, prune, resolved
from finest.errors import ConfigError, DataError
from tests.integration.data.conftest import Ingested

NIGHT = moment("2026-11-24T02:00:00Z")
NIGHTLY: dict[str, Any] = {"window_days": 4, "split": Split(method="temporal", held_out_days=1)}
"""Reads the 20th to the 23rd, and holds out the 23rd."""
COLUMNS = ("user_id", "item_id", "timestamp")


def rows_of(day: date, first: int = 0, users: int = 6, each: int = 10, more: dict[str, Any] | None = None) -> pa.Table:
    """A day's interactions, `each` a user; items go round a catalogue of 40."""
    noon = int(datetime(day.year, day.month, day.day, 12, tzinfo=UTC).timestamp())
    rows = [
        (f"u{user}", f"i{(first + user * each + place) % 40:02d}", noon + place)
        for user in range(users)
        for place in range(each)
    ]
    return pa.table(dict(zip(COLUMNS, map(list, zip(*rows, strict=True)), strict=True)) | (more or {}))


def week(last: int = 23, **days: pa.Table) -> dict[str, pa.Table]:
    """Partitions of the 18th to the `last` of November."""
    return {f"dt=2026-11-{day}/part-0.parquet": rows_of(date(2026, 11, day), day) for day in range(18, last + 1)} | days


def tonight(**config: Any) -> dict[str, Any]:
    """What ingest's config of the night of the 24th says of days and duplicates."""
    night = resolved(Ingest(**NIGHTLY | config), NIGHT)
    return {name: getattr(night, name) for name in ("since", "until", "max_missing_days", "duplicates", "split")}


def test_days_count_back_from_the_moment_and_its_own_day_is_not_read(ingested: Ingested) -> None:
    today = {"dt=2026-11-24/part-0.parquet": rows_of(date(2026, 11, 24))}
    manifest, folder = ingested(week() | today, **tonight())
    assert (manifest.since, manifest.until) == (date(2026, 11, 20), date(2026, 11, 23))
    assert (manifest.source_rows, manifest.train_interactions, manifest.test_interactions) == (240, 180, 60)
    held = pq.read_table(folder / "interactions.parquet", filters=[("split", "=", "test")])["timestamp"].to_pylist()
    assert {datetime.fromtimestamp(time / 1e6, UTC).day for time in held} == {23}


def test_any_time_of_a_day_and_in_any_zone_means_the_same_night() -> None:
    nights = [
        resolved(Ingest(**NIGHTLY), moment(text))
        for text in ("2026-11-24", "2026-11-24T23:59:59Z", "2026-11-25T00:30:00+01:00")
    ]
    assert nights[0] == nights[1] == nights[2]


def test_a_config_without_days_to_count_stays_as_it_is() -> None:
    config = Ingest(since=date(2026, 11, 1), split=Split(method="temporal", cut=NIGHT))
    assert resolved(config, NIGHT) == config


def test_days_that_nobody_has_counted_are_refused(ingested: Ingested) -> None:
    with pytest.raises(ConfigError, match="window_days"):
        ingested(week(), **NIGHTLY)


@pytest.mark.parametrize("text", ["yesterday", "2026-13-01", "", "24.11.2026"])
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"as_of = .*like 2026-11-24"):
        moment(text)


@pytest.mark.parametrize(
    "config",
    [
        {"window_days": 3, "since": date(2026, 11, 1)},
        {"window_days": 1, "split": Split(method="temporal", held_out_days=1)},
        {"split": {"method": "temporal"}},
        {"split": {"method": "temporal", "held_out_days": 1, "cut": NIGHT}},
        {"split": {"method": "last_fraction", "held_out_days": 1}},
    ],
)
def test_a_window_that_contradicts_itself_is_refused(config: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"window_days|held_out_days"):
        Ingest(**config)


def test_a_lost_day_is_noted_and_an_error_only_beyond_what_is_allowed(ingested: Ingested) -> None:
    days = week()
    del days["dt=2026-11-21/part-0.parquet"]
    assert ingested(days, **tonight(max_missing_days=1))[0].missing_days == (date(2026, 11, 21),)
    with pytest.raises(
        DataError, match=r"1 days between 2026-11-20 and 2026-11-23 .*2026-11-21.* more than ingest.max_missing_days=0"
    ):
        ingested(days, **tonight(max_missing_days=0))


def test_days_before_the_feed_began_are_not_missing() -> None:
    files = [SourceFile(f"feed/dt=2026-11-{day}/a.parquet", 1, "") for day in (19, 20, 22)]
    assert missing(files, Ingest(since=date(2026, 11, 1), until=date(2026, 11, 23))) == (
        date(2026, 11, 21),
        date(2026, 11, 23),
    )
    assert missing(files, Ingest(since=date(2026, 11, 20), until=date(2026, 11, 20))) == ()


def test_a_file_outside_of_any_partition_is_refused_by_name() -> None:
    with pytest.raises(DataError, match=r"feed/a\.parquet: in no partition dt="):
        prune([SourceFile("feed/a.parquet", 1, "")], Ingest(until=date(2026, 11, 23)))
    with pytest.raises(
        DataError, match="none of the 1 files lies in a partition dt=%Y-%m-%d between the first day and 2026-11-23"
    ):
        prune([SourceFile("feed/dt=2026-11-24/a.parquet", 1, "")], Ingest(until=date(2026, 11, 23)))


def test_a_day_that_is_delivered_twice_counts_once_and_is_no_fault(ingested: Ingested) -> None:
    once, _ = ingested(week(), **tonight())
    twice, _ = ingested(
        week() | {"dt=2026-11-22/again.parquet": rows_of(date(2026, 11, 22), 22)}, **tonight(duplicates="quarantine")
    )
    assert twice.fingerprint == once.fingerprint
    assert twice.duplicates == 60 > 0.01 * twice.source_rows  # more than max_quarantined_share


def test_duplicates_do_not_make_room_for_unusable_rows(ingested: Ingested) -> None:
    broken = rows_of(date(2026, 11, 22), users=1).set_column(1, "item_id", pa.array([""] * 10))
    files = week() | {
        "dt=2026-11-22/again.parquet": rows_of(date(2026, 11, 22), 22),
        "dt=2026-11-22/broken.parquet": broken,
    }
    with pytest.raises(DataError, match=r"3\.2% of the source's 310 rows .*\(10\): item missing"):
        ingested(files, **tonight(duplicates="quarantine"))


def test_late_rows_stand_where_their_time_puts_them_and_are_counted(ingested: Ingested) -> None:
    in_time, _ = ingested(week(), **tonight())
    day = rows_of(date(2026, 11, 21), 21)
    late = {"dt=2026-11-21/part-0.parquet": day.slice(0, 53), "dt=2026-11-23/late.parquet": day.slice(53)}
    manifest, _ = ingested(week() | late, **tonight())
    assert (manifest.late_rows, in_time.late_rows) == (7, 0)
    assert manifest.fingerprint == in_time.fingerprint


def test_a_time_far_after_the_window_is_set_aside_and_a_day_for_local_clocks_is_allowed(ingested: Ingested) -> None:
    ahead = [NIGHT + timedelta(hours=hours) for hours in (20, 300)]
    clock = pa.table(
        {"user_id": ["u0", "u1"], "item_id": ["i01", "i02"], "timestamp": [int(time.timestamp()) for time in ahead]}
    )
    manifest, _ = ingested(week() | {"dt=2026-11-23/clock.parquet": clock}, **tonight())
    assert manifest.quarantined_by_reason == {"timestamp after the days read": 1}
    assert manifest.last_timestamp == int(ahead[0].timestamp()) * 1_000_000


def test_a_night_without_rows_on_the_held_out_day_has_no_instances(ingested: Ingested) -> None:
    lost, _ = ingested(week(22), **tonight())
    empty, _ = ingested(
        week(22) | {"dt=2026-11-23/part-0.parquet": rows_of(date(2026, 11, 23)).slice(0, 0)}, **tonight()
    )
    for manifest in (lost, empty):
        assert (manifest.instances, manifest.train_interactions) == (0, 180)
    assert (lost.missing_days, empty.missing_days) == ((date(2026, 11, 23),), ())


def test_a_cut_after_everything_read_stays_an_error(ingested: Ingested) -> None:
    split = Split(method="temporal", cut=NIGHT)
    with pytest.raises(DataError, match="no held-out interaction"):
        ingested(week(), split=split, until=date(2026, 11, 23))
    with pytest.raises(DataError, match="no held-out interaction"):
        ingested(week(), split=split)


@pytest.mark.parametrize("changed", ["dt=2026-11-20/part-0.parquet", "dt=2026-11-23/part-0.parquet"])
def test_a_new_column_is_ignored_in_whichever_file_it_appears(changed: str, ingested: Ingested) -> None:
    plain, _ = ingested(week(), **tonight())
    table = week()[changed]
    wider = pa.table({"price": pa.array([1.5] * len(table)), **{name: table[name] for name in reversed(COLUMNS)}})
    assert ingested(week() | {changed: wider}, **tonight())[0].fingerprint == plain.fingerprint


def test_a_renamed_column_is_refused_in_the_window_and_does_not_matter_outside(ingested: Ingested) -> None:
    renamed = rows_of(date(2026, 11, 22), 22).rename_columns(["user_id", "product_id", "timestamp"])
    with pytest.raises(
        DataError, match=r"dt=2026-11-22/part-0\.parquet: no column 'item_id'; found user_id, product_id, timestamp"
    ):
        ingested(week() | {"dt=2026-11-22/part-0.parquet": renamed}, **tonight())
    assert ingested(week() | {"dt=2026-11-18/part-0.parquet": renamed}, **tonight())[0].source_rows == 240


def test_a_type_that_changes_from_day_to_day_reads_as_the_same_ids(ingested: Ingested) -> None:
    def days(kind: Callable[[int], pa.DataType]) -> dict[str, pa.Table]:
        tables = week()
        for number, (name, table) in enumerate(tables.items()):
            numbers = pa.array([int(item[1:]) + 100 for item in table["item_id"].to_pylist()])
            tables[name] = table.set_column(1, "item_id", numbers.cast(kind(number)))
        return tables

    mixed, _ = ingested(days(lambda number: pa.string() if number % 2 else pa.int32()), **tonight())
    assert mixed.fingerprint == ingested(days(lambda number: pa.string()), **tonight())[0].fingerprint


def test_a_window_from_before_the_first_year_is_one_line() -> None:
    with pytest.raises(ConfigError, match=r"reach from 2026-11-28 back to before the first year; lower them"):
        resolved(Ingest(window_days=10**6), datetime(2026, 11, 28, tzinfo=UTC))
    with pytest.raises(ConfigError, match="lower them"):
        resolved(Ingest(split=Split(method="temporal", held_out_days=10**12)), datetime(2026, 11, 28, tzinfo=UTC))
