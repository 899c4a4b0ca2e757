"""What is a note and what is refused, by a night's numbers beside those of the line's last nights."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finest.data.compared import Compared, NightData
from finest.data.description import Description
from finest.data.epoch import DAY
from finest.data.expect import Expect
from finest.data.unusual import Earlier, compare
from finest.errors import DataError

START = datetime(2026, 11, 2, tzinfo=UTC)  # a Monday
USUAL = {
    "rows": 7000.0,
    "users": 300.0,
    "items": 500.0,
    "user_share": 0.01,
    "item_share": 0.03,
    "same_time": 0.0,
    "repeated": 0.0,
    "day_rows": 1000.0,
    "day_users": 200.0,
    "day_rows_a_user": 5.0,
    "day_user_share": 0.02,
    "day_item_share": 0.05,
    "day_same_time": 0.01,
    "day_hours": 0.1,
    "echoed": 0.0,
}


def night(number: int, late: float = 0, days: float = 1000, **other: float) -> Earlier:
    """The night after so many days, which holds a week of full days of so many rows; other numbers than usual."""
    window = 7
    end = START + timedelta(days=number)
    micros = round(end.timestamp()) * 1_000_000
    shown = {str((end - timedelta(days=back)).date()): round(days) for back in range(1, window + 1)}
    found = Description(
        first=micros - window * DAY,
        end=micros,
        newest=micros - round(late * 3_600_000_000),
        window_days=window,
        days=shown,
        measures=USUAL | other,
    )
    return Earlier(end + timedelta(hours=2), NightData(fingerprint=f"{number} {other}", description=found))


def held(tonight: Earlier, others: list[Earlier], **bounds: object) -> Compared:
    return compare(tonight.data, tonight.as_of, others, Expect.model_validate(bounds))


def refused(found: Compared) -> list[str]:
    return [f"{one.name} {one.option}" for one in found.refused]


WEEKS = [night(number) for number in range(21)]


@pytest.mark.parametrize(
    ("wrong", "by"),
    [
        ({"rows": 3500.0}, "rows min_rows"),
        ({"day_rows": 150.0}, "day_rows min_day_rows"),
        ({"day_rows_a_user": 2.6}, "day_rows_a_user min_day_rows_a_user"),
        ({"user_share": 0.33}, "user_share max_user_rise"),
        ({"day_user_share": 0.33}, "day_user_share max_user_rise"),
        ({"item_share": 0.4}, "item_share max_item_rise"),
        ({"same_time": 0.5}, "same_time max_same_time_rise"),
        ({"day_same_time": 1.0}, "day_same_time max_same_time_rise"),
        ({"day_hours": 0.5}, "day_hours max_hours_rise"),
        ({"repeated": 0.11}, "repeated max_repeated_rise"),
        ({"echoed": 0.9}, "echoed max_echoed_rise"),
    ],
)
def test_a_number_beyond_its_bound_is_refused_with_its_value_the_usual_ones_and_the_key(
    wrong: dict[str, float], by: str
) -> None:
    found = held(night(21, **wrong), WEEKS)
    assert refused(found) == [by]
    name, key = by.split()
    with pytest.raises(DataError, match=rf"earlier nights had .*\[ingest\.expect\.{key}\]"):
        found.check()
    assert refused(held(night(21, **wrong), WEEKS, **{key: "off"})) == []
    assert any(
        one.name == name and one.status == "unusual" for one in held(night(21, **wrong), WEEKS, **{key: "off"}).found
    )


def test_what_is_as_it_was_is_no_word() -> None:
    found = held(night(21), WEEKS)
    assert (refused(found), list(found.notes())) == ([], []) and found.metrics["data/unusual"] == 0


def test_a_holiday_is_a_note_and_a_weekend_nothing_where_there_were_weekends() -> None:
    holiday = held(night(21, day_rows=400.0, day_users=80.0), WEEKS)
    assert refused(holiday) == []
    assert next(holiday.notes()) == "Rows of the last 24 hours: 400, where 3 earlier nights had 1,000."
    weeks = [night(number, **({"day_rows": 300.0} if number % 7 in (5, 6) else {})) for number in range(21)]
    assert list(held(night(26, day_rows=310.0), weeks).notes()) == []


def test_half_of_the_rows_of_days_that_were_there_is_refused_from_the_second_night_on() -> None:
    found = held(night(1, days=500), [night(0)])
    assert refused(found) == ["kept_rows min_rows"]
    assert refused(held(night(1, days=500), [night(0)], min_rows=0.4)) == []


def test_days_that_leave_the_window_are_not_missed_and_growth_is_nothing() -> None:
    for number in range(1, 30):
        assert list(held(night(number, days=1000 + 10 * number), [night(at) for at in range(number)]).notes()) == []


@pytest.mark.parametrize(
    ("wrong", "key"),
    [
        ({"user_share": 0.6}, "max_user_share"),
        ({"item_share": 0.9}, "max_item_share"),
        ({"same_time": 1.0}, "max_same_time"),
    ],
)
def test_on_a_first_night_only_absolute_bounds_hold(wrong: dict[str, float], key: str) -> None:
    found = held(night(0, **wrong), [])
    assert [one.option for one in found.refused] == [key]
    assert next(found.notes()).startswith("The data was compared with no earlier night's: the line has none")
    assert refused(held(night(0, rows=10.0, day_rows=0.0, repeated=1.0), [])) == []


def test_rows_of_one_time_that_have_an_order_are_no_fault() -> None:
    tonight = night(21, same_time=1.0, day_same_time=1.0)
    assert compare(tonight.data, tonight.as_of, WEEKS, Expect(), ordered=True).refused == []


def test_few_users_may_each_have_much() -> None:
    few = [night(number, users=15.0, day_users=6.0) for number in range(9)]
    assert refused(held(night(9, users=15.0, day_users=6.0, user_share=0.4, day_user_share=0.7), few)) == []


def test_a_feed_that_went_back_a_week_or_into_the_future_is_refused_and_a_late_one_is_not() -> None:
    assert refused(held(night(21, late=7 * 24), WEEKS)) == ["hours_off max_hours_off"]
    assert refused(held(night(21, late=-100), WEEKS)) == ["hours_off max_hours_off"]
    assert refused(held(night(21, late=24), WEEKS)) == []
    assert refused(held(night(21), [night(number, late=72) for number in range(21)])) == ["hours_off max_hours_off"]


def test_neither_the_night_itself_nor_what_comes_after_it_counts() -> None:
    again = night(5)
    assert held(again, [again, night(5, rows=1.0), night(6)]).nights == 0
    same = Earlier(night(4).as_of, again.data)
    assert held(again, [same]).nights == 0
    assert held(again, WEEKS[:5], nights=2).nights == 2 and held(again, WEEKS[:5], nights=0).nights == 0


@given(st.permutations(WEEKS[:8]), st.floats(0, 1), st.floats(0, 20_000))
def test_the_order_of_nights_changes_nothing_and_a_number_they_had_is_never_refused(
    nights: list[Earlier], share: float, rows: float
) -> None:
    odd = {"user_share": share, "day_rows": rows, "rows": rows, "echoed": share, "day_hours": share}
    tonight = night(8, **odd)
    assert held(tonight, nights) == held(tonight, WEEKS[:8])
    before = night(1, **odd)
    kinds = {one.name for one in held(tonight, [WEEKS[0], before, *WEEKS[2:8]]).refused}
    assert not kinds & {"rows", "day_hours", "echoed"} and not ("user_share" in kinds and share <= 0.5)


def test_what_is_written_is_read_again_and_keys_of_newer_versions_are_passed_over() -> None:
    found = held(night(21, rows=3500.0), WEEKS)
    assert Compared.model_validate_json(found.model_dump_json()) == found
    assert NightData.model_validate({**found.tonight.model_dump(), "mood": "good"}) == found.tonight
