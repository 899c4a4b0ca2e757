"""When runs start: KFP's expression is read as its scheduler reads it, and must mean the user's moments."""

from datetime import UTC, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim
from hypothesis import example, given, settings
from hypothesis import strategies as st

from finest.errors import ConfigError
from pipeline.cluster.cron import drift, parse, translate

BERLIN, KOLKATA, UTC_ZONE = ZoneInfo("Europe/Berlin"), ZoneInfo("Asia/Kolkata"), ZoneInfo("UTC")
DAYS = {"*": range(7), "1": [1], "mon-fri": range(1, 6), "0,6": [0, 6], "sat": [6]}
WINTER, SUMMER = datetime(2026, 1, 15, tzinfo=UTC), datetime(2026, 7, 15, tzinfo=UTC)


def due(expression: str, moment: datetime) -> bool:
    """Whether KFP starts a run at the moment: a number, a list or a star a field, seconds first."""
    second, minute, hour, day, month, weekday = expression.split()
    assert second == "0" and day == month == "*"
    days = DAYS[weekday] if weekday in DAYS else [int(one) for one in weekday.split(",")]
    return (int(minute), int(hour)) == (moment.minute, moment.hour) and moment.isoweekday() % 7 in days


@given(
    st.sampled_from(
        ["UTC", "Europe/Berlin", "Asia/Kolkata", "America/Los_Angeles", "Pacific/Auckland", "Pacific/Apia"]
    ),
    st.integers(0, 23),
    st.integers(0, 59),
    st.sampled_from(sorted(DAYS)),
)
@settings(max_examples=40, deadline=None)
def test_a_run_starts_when_the_clocks_of_the_zone_say_so(zone: str, hour: int, minute: int, weekdays: str) -> None:
    theirs = ZoneInfo(zone)
    expression = translate(f"{minute} {hour} * * {weekdays}", theirs, UTC_ZONE, WINTER)
    for number in range(8):
        local = datetime(2026, 1, 12, hour, minute, tzinfo=theirs) + timedelta(days=number)
        assert due(expression, local.astimezone(UTC)) == (local.isoweekday() % 7 in DAYS[weekdays])


def test_a_server_in_the_users_zone_gets_the_same_times_spelled_out() -> None:
    assert translate("*/15 2-4 1 jan-mar *", BERLIN, BERLIN, WINTER) == "0 0,15,30,45 2,3,4 1 1,2,3 *"
    assert translate("0 2 ? * 7", BERLIN, BERLIN, WINTER) == "0 0 2 * * 0"


WORDS = st.sampled_from(
    [*map(str, range(0, 61, 5)), "1", "2", "3", "7", "mon", "fri", "sun", "jan", "DEC", "*", "?", "L", "a", ""]
)
PARTS = st.one_of(
    st.just("*"),
    WORDS,
    st.builds("{}-{}".format, WORDS, WORDS),
    st.builds("{}/{}".format, WORDS, WORDS),
    st.builds("{}-{}/{}".format, WORDS, WORDS, WORDS),
)
FIELDS = st.lists(PARTS, min_size=1, max_size=2).map(",".join)
EXPRESSIONS = st.one_of(
    st.lists(FIELDS, min_size=5, max_size=5).map(" ".join),
    st.builds("{} {} {} {} {}".format, st.integers(0, 59), st.integers(0, 23), st.just("*"), st.just("*"), FIELDS),
    st.builds("{} {} {} {} {}".format, st.integers(0, 59), st.integers(0, 23), FIELDS, FIELDS, FIELDS),
)
STEADY = st.sampled_from(["UTC", "Asia/Kolkata", "Asia/Kathmandu", "Pacific/Kiritimati", "America/Phoenix"])


@given(EXPRESSIONS, STEADY, STEADY)
@example("30 0 * * fri,sat,sun,mon", "Asia/Kolkata", "UTC")
@example("0 2 1-31 * mon", "UTC", "UTC")
@settings(max_examples=300, deadline=None)
def test_what_passes_means_the_same_moments_after_translation(expression: str, theirs: str, servers: str) -> None:
    try:
        translated = translate(expression, ZoneInfo(theirs), ZoneInfo(servers), WINTER)
    except ConfigError:
        return
    seconds, fields = translated.split(" ", 1)
    assert seconds == "0" and set(fields) <= set("0123456789,* ")
    meant = CronSim(expression.replace("?", "*"), WINTER.astimezone(ZoneInfo(theirs)))
    said = CronSim(fields, WINTER.astimezone(ZoneInfo(servers)))
    for one, other in islice(zip(meant, said, strict=True), 200):
        assert one == other


def test_a_zone_without_summer_time_never_drifts() -> None:
    assert drift(KOLKATA, UTC_ZONE, WINTER) is None and drift(BERLIN, BERLIN, WINTER) is None


@pytest.mark.parametrize(("now", "day", "minutes"), [(WINTER, "2026-03-29", 60), (SUMMER, "2026-10-25", -60)])
def test_the_day_on_which_the_local_start_moves_is_known(now: datetime, day: str, minutes: int) -> None:
    found = drift(BERLIN, UTC_ZONE, now)
    assert found is not None and f"{found[0]:%Y-%m-%d}" == day and found[1] == minutes


@pytest.mark.parametrize(
    "expression",
    [
        *("0 2 * *", "0 0 2 * * *", "60 2 * * *", "0 2 0 * *", "0 2 * 13 *", "0 2 * * 8", "a 2 * * *", "0 2 * * fri-"),
        *("*/abc * * * *", "*/0 * * * *", "5-1 * * * *", "30 0 * * fri-mon", "*/ * * * *", "0 2 31 2 *"),
        *("0 2 L * *", "0 2 * * mon#2", "0 2 * * 5L", "? 2 * * *", "0 2 */2 * mon", "@daily"),
    ],
)
def test_an_expression_that_cannot_be_meant_is_refused(expression: str) -> None:
    with pytest.raises(ConfigError, match="--cron"):
        parse(expression)


def test_a_range_that_runs_backwards_is_refused_with_what_to_write() -> None:
    with pytest.raises(
        ConfigError, match=r"'fri-mon' is no day of week; write .* ranges from the lesser to the greater"
    ):
        translate("30 0 * * fri-mon", KOLKATA, UTC_ZONE, WINTER)
    assert translate("30 0 * * fri,sat,sun,mon", KOLKATA, UTC_ZONE, WINTER) == "0 0 19 * * 0,4,5,6"


@pytest.mark.parametrize("expression", ["*/5 * * * *", "0 1,2 * * *", "0 1 1 * *"])
def test_what_no_single_expression_can_say_in_the_other_zone_is_refused(expression: str) -> None:
    with pytest.raises(ConfigError, match="UTC"):
        translate(expression, KOLKATA, UTC_ZONE, WINTER)
