"""What ingest says of a night's data is what counting by hand says, however many threads and files there are."""

from collections import Counter
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from finest.data.description import Description
from tests.integration.data.conftest import Ingested, Row, csv_of

HOUR, DAY = 3600, 86_400
START = int(datetime(2026, 11, 1, tzinfo=UTC).timestamp())


Described = Callable[..., Description]


def old(start: int = START - 400 * DAY) -> list[Row]:
    return [("old", f"more-{number}", start + number) for number in range(40)]


@pytest.fixture(scope="module")
def described(ingested: Ingested) -> Described:
    """Returns the description of rows, and of 40 items more that one user had before: ingest asks for many."""

    def of(rows: list[Row], threads: int = 1, parts: int = 1, before: int = START - 400 * DAY) -> Description:
        every = [*rows, *old(before)]
        files = {f"{part}.csv": csv_of(every[part::parts]) for part in range(parts)}
        found = ingested(files, threads, min_user_interactions=1)[0].description
        assert found is not None
        return found

    return of


def rows_of(lived: list[tuple[int, int, int]]) -> list[Row]:
    return [(f"u{user}", f"i{item}", START + time) for user, item, time in lived]


ROWS = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 3), st.sampled_from([0, 5, HOUR, DAY, DAY + 5, 7 * DAY, 7 * DAY + 5])),
    min_size=12,
    max_size=40,
)


@settings(max_examples=15, deadline=None, phases=[Phase.generate])
@given(ROWS)
def test_every_number_is_what_counting_says(described: Described, lived: list[tuple[int, int, int]]) -> None:
    found, rows = described(rows_of(lived)), [*rows_of(lived), *old()]
    by_user, by_item, by_time = (Counter(row[part] for row in rows) for part in range(3))
    assert [found.measures[name] for name in ("rows", "users", "items")] == [len(rows), len(by_user), len(by_item)]
    for name, counted in (("user_share", by_user), ("item_share", by_item), ("same_time", by_time)):
        assert found.measures[name] == pytest.approx(max(counted.values()) / len(rows), abs=1e-6)
    end = found.end // 1_000_000
    assert found.end == found.newest and end % HOUR == 0
    day = [row for row in rows if end - DAY <= row[2] < end]
    week = [row for row in rows if end - 8 * DAY <= row[2] < end]
    assert found.measures["day_rows"] == len(day) and found.measures["later_rows"] == sum(row[2] >= end for row in rows)
    assert found.measures["day_users"] == len({row[0] for row in day})
    assert found.measures["day_item_share"] == pytest.approx(
        max(Counter(row[1] for row in day).values()) / len(day), abs=1e-6
    )
    assert found.measures["repeated"] == pytest.approx(1 - len(set(week)) / len(week), abs=1e-6)
    before = {row for row in week if row[2] < end - DAY}
    lags = [sum((user, item, time - lag * DAY) in before for user, item, time in day) for lag in range(1, 8)]
    assert found.measures["echoed"] == pytest.approx(max(lags) / len(day), abs=1e-6)
    said = Counter(str(datetime.fromtimestamp(row[2], UTC).date()) for row in rows if row[2] < end)
    first = str(date.fromtimestamp(0) + timedelta(days=(end - 1) // DAY - 13))
    assert found.days == {day: count for day, count in said.items() if day >= first}


def test_neither_threads_nor_files_nor_their_order_change_it(described: Described) -> None:
    rows = rows_of([(at % 7, at % 5, at * 977 % (9 * DAY)) for at in range(400)])
    found = described(rows)
    assert described(rows, threads=2) == described(rows[::-1], parts=3) == found


def test_a_few_rows_from_a_clock_that_is_ahead_move_nothing_but_are_counted(described: Described) -> None:
    rows = rows_of([(at % 7, at % 5, at * 600) for at in range(10 * 144)])
    ahead = [("u1", "i1", START + (400 + number) * DAY) for number in range(5)]
    plain, found = described(rows), described([*rows, *ahead])
    assert (found.end, found.days) == (plain.end, plain.days)
    assert (plain.measures["later_rows"], found.measures["later_rows"]) == (0, 5)


def test_rows_of_no_real_time_are_one_day(described: Described) -> None:
    found = described([(f"u{at % 9}", f"i{at % 4}", at // 9) for at in range(300)], before=0)
    assert found.days == {"1970-01-01": 340} and found.newest == HOUR * 1_000_000


def test_days_without_a_row_and_a_day_cut_off_at_noon_show(described: Described) -> None:
    rows = rows_of([(at % 7, at % 5, at * 1800) for at in range(12 * 48) if not 4 * 48 <= at < 6 * 48])
    assert described(rows, before=START).measures["gap_days"] == 2
    assert described(rows).measures["day_hours"] < 0.01
    noon = rows_of([(1, 2, 12 * DAY + at * 100) for at in range(432)])
    assert described([*rows, *noon]).measures["day_hours"] > 0.4
