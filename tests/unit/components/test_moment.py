from datetime import UTC, datetime, timedelta

import pytest
from kfp import dsl

from components import events
from components.preflight.work import stands_for
from finest.errors import ConfigError
from pipeline import inputs
from pipeline.config import load


@pytest.fixture(autouse=True)
def local(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that no backend knows of; what a backend says is in tests/integration/components/test_backend.py."""
    monkeypatch.setenv(events.VARIABLE, "/dev/null")


def test_a_given_moment_goes_before_the_time_of_creation() -> None:
    assert stands_for("2026-11-20", "2026-11-24T02:00:00Z") == datetime(2026, 11, 20, tzinfo=UTC)
    assert stands_for("", "2026-11-24T02:00:00Z") == datetime(2026, 11, 24, 2, tzinfo=UTC)


@pytest.mark.parametrize("scheduled", ["", dsl.PIPELINE_JOB_SCHEDULE_TIME_UTC_PLACEHOLDER])
def test_without_either_it_is_now(scheduled: str) -> None:
    assert abs(stands_for("", scheduled) - datetime.now(UTC)) < timedelta(minutes=1)


@pytest.mark.parametrize("text", ["2026-11-24", "2026-11-24T02:30:00", "2026-11-24T02:30:00+01:00"])
def test_the_moment_of_a_config_reaches_the_step_as_it_was_meant(text: str) -> None:
    given = inputs.of(load(None, [f"as_of={text}"]))["as_of"]
    assert stands_for(given, "") == stands_for(text, "")


@pytest.mark.parametrize("value", ["20261124", "yesterday", "1.5", "2026-11-31"])
def test_what_is_no_day_is_refused_before_a_run_starts(value: str) -> None:
    with pytest.raises(ConfigError, match=r"^as_of = "):
        load(None, [f"as_of={value}"])
