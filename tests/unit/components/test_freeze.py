"""When nothing goes into production by itself."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
import yaml

from components.promote.config import Promote
from components.promote.freeze import Freeze, frozen
from components.sections import parameters, parse
from finest.errors import ConfigError

WEEKENDS = {"cron": "0 18 * * fri", "hours": 60, "why": "nobody is here"}
CHRISTMAS = {"start": "2026-12-24", "end": "2026-12-26", "why": "Christmas"}


def given(*windows: Any) -> list[Freeze]:
    """The windows as a step gets them: through JSON, in which a day is text."""
    section = parse(Promote, {"freeze": list(windows)}, "promote")
    again = parse(Promote, json.loads(json.dumps(parameters(section))), "promote")
    assert again == section
    return again.freeze


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("moment", "until"),
    [
        ("2026-12-23T23:59:59", ""),
        ("2026-12-24T00:00:00", "2026-12-27 00:00"),
        ("2026-12-26T23:59:59", "2026-12-27 00:00"),
        ("2026-12-27T00:00:00", ""),
    ],
)
def test_days_are_frozen_from_the_first_one_to_the_end_of_the_last(moment: str, until: str) -> None:
    said = frozen(given(CHRISTMAS), at(moment))
    assert said == (f"promote.freeze (Christmas) until {until} UTC" if until else "")


def test_a_time_ends_a_freeze_at_that_very_moment_also_at_midnight() -> None:
    freezes = given({"start": "2026-12-24T18:00", "end": "2026-12-26T00:00:00"})
    assert frozen(freezes, at("2026-12-25T23:59:59")) and not frozen(freezes, at("2026-12-26T00:00:00"))
    assert frozen(freezes, at("2026-12-24T18:00:00")) and not frozen(freezes, at("2026-12-24T17:59:59"))


@pytest.mark.parametrize(
    ("moment", "held"),
    [
        ("2026-11-27T17:59:59.999999", False),
        ("2026-11-27T18:00:00", True),
        ("2026-11-27T18:00:00.5", True),
        ("2026-11-30T05:59:59", True),
        ("2026-11-30T06:00:00", False),
    ],
)
def test_a_freeze_that_comes_again_lasts_for_its_hours_over_days_and_weeks(moment: str, held: bool) -> None:
    assert bool(frozen(given(WEEKENDS), at(moment))) == held


def test_a_freeze_by_local_time_begins_an_hour_earlier_in_summer() -> None:
    freezes = given({**WEEKENDS, "time_zone": "Europe/Berlin"})
    for winter, summer in (("2026-11-27T17:00", "2026-07-03T16:00"),):
        assert frozen(freezes, at(winter)).endswith("until 2026-11-30 05:00 UTC")
        assert frozen(freezes, at(summer)).endswith("until 2026-07-06 04:00 UTC")
        assert not frozen(freezes, at(summer.replace("16:00", "15:59")))
    days = given({**CHRISTMAS, "time_zone": "Asia/Tokyo"})
    assert frozen(days, at("2026-12-23T15:00")) and not frozen(days, at("2026-12-26T15:00"))


def test_a_freeze_starts_in_the_hour_that_a_change_of_clocks_leaves_out() -> None:
    freezes = given({"cron": "30 2 * * *", "hours": 1, "time_zone": "Europe/Berlin"})
    assert frozen(freezes, at("2026-03-29T01:10")), "half past two does not exist on that day; three does"
    assert not frozen(freezes, at("2026-03-29T00:59"))


def test_of_freezes_that_overlap_the_one_that_ends_last_is_named() -> None:
    freezes = given({**CHRISTMAS, "end": "2026-12-28"}, {**WEEKENDS, "hours": 24})
    assert frozen(freezes, at("2026-12-25T19:00")) == "promote.freeze (Christmas) until 2026-12-29 00:00 UTC"


def test_a_freeze_without_end_in_sight_holds() -> None:
    assert frozen(given({"start": "2026-12-24", "end": "9999-12-31"}), at("2027-06-01T00:00:00"))


def test_days_that_yaml_makes_of_text_are_days() -> None:
    (read,) = yaml.safe_load("[{start: 2026-12-24, end: 2026-12-26, why: Christmas}]")
    assert given(read) == given(CHRISTMAS)


@pytest.mark.parametrize(
    ("window", "said"),
    [
        ({"start": "2026-12-24"}, "promote.freeze.0: a freeze has start and end, or cron and hours"),
        ({"cron": "0 18 * * fri"}, "promote.freeze.0: a freeze has start and end, or cron and hours"),
        ({**CHRISTMAS, "hours": 3}, "promote.freeze.0: a freeze has start and end, or cron and hours"),
        ({}, "promote.freeze.0: a freeze has start and end, or cron and hours"),
        ({**CHRISTMAS, "end": "2026-12-23"}, "promote.freeze.0: ends before it starts"),
        (
            {**CHRISTMAS, "end": "9999-12-31T23:00-05:00"},
            "promote.freeze.0: starts or ends in a year",
        ),
        ({**CHRISTMAS, "start": "24.12."}, "promote.freeze.0.start = '24.12.': must be a day or a time like"),
        ({**CHRISTMAS, "start": 20261224}, "promote.freeze.0.start = 20261224: must be a day or a time like"),
        ({**WEEKENDS, "cron": "0 18 * * fr"}, "promote.freeze.0.cron = '0 18 * * fr': Bad day-of-week; write minute"),
        ({**WEEKENDS, "cron": "0 0 30 2 *"}, "promote.freeze.0.cron = '0 0 30 2 *': Bad day-of-month"),
        ({**WEEKENDS, "cron": "0 0 18 * * fri"}, "promote.freeze.0.cron = '0 0 18 * * fri': it has not five fields"),
        ({**WEEKENDS, "hours": 0}, "promote.freeze.0.hours = 0: must be greater than 0"),
        ({**WEEKENDS, "time_zone": "../etc"}, "promote.freeze.0.time_zone = '../etc': is no time zone"),
        ({**CHRISTMAS, "until": "2026-12-23"}, "promote.freeze.0.until: there is no such config key"),
    ],
)
def test_what_is_no_freeze_is_one_line_that_names_the_key(window: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as error:
        given(window)
    assert str(error.value).startswith(said) and "\n" not in str(error.value)
