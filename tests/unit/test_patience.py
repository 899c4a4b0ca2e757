import logging
import time
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finest import patience
from finest.errors import ConfigError, UnavailableError
from finest.patience import Absence, patiently


class Clock:
    """Time that passes when somebody sleeps, or when a call takes it."""

    def __init__(self) -> None:
        self.now, self.slept = 1000.0, []  # type: tuple[float, list[float]]

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    made = Clock()
    monkeypatch.setattr("finest.patience.time.monotonic", lambda: made.now)
    monkeypatch.setattr("finest.patience.time.sleep", made.sleep)
    yield made


class AwayError(Exception):
    pass


def why(error: BaseException) -> str | None:
    return "refused" if isinstance(error, AwayError) else None


def back_at(clock: Clock, moment: float, takes: float = 0.0) -> Callable[[], str]:
    def call() -> str:
        clock.now += takes
        if clock.now < moment:
            raise AwayError
        return "here"

    return call


def test_a_service_that_is_back_in_time_is_waited_for_with_a_line_each(
    clock: Clock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(patience.VARIABLE, "600")
    with caplog.at_level(logging.INFO):
        assert patiently("the store", back_at(clock, 1090), why) == "here"
    waits = [
        record.message
        for record in caplog.records
        if record.message.startswith("waiting for the store: refused; asked again in ")
    ]
    assert len(waits) == len(clock.slept) >= 7 and "given up in 10 min" in waits[0]
    assert [record.message for record in caplog.records][-1].startswith("the store is back after 1 min")
    assert all(before <= after or after <= 30 for before, after in zip(clock.slept, clock.slept[1:], strict=False))


def test_a_service_that_stays_away_is_one_error_that_says_for_how_long(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(patience.VARIABLE, "60")
    with pytest.raises(UnavailableError) as caught:
        patiently("the store", back_at(clock, 5000), why)
    assert str(caught.value) == "the store has been away for 1 min, longer than steps.patience_minutes allows: refused"
    with patience.at_most(30), pytest.raises(UnavailableError, match=r"^the store has been away for 30.0 s: refused$"):
        patiently("the store", back_at(clock, 50000), why)
    assert caught.value.__cause__ is None and caught.value.__suppress_context__  # its text may hold credentials


def test_without_patience_the_first_error_is_raised_as_it_is(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(patience.VARIABLE, raising=False)
    with pytest.raises(AwayError):
        patiently("the store", back_at(clock, 5000), why)
    assert clock.slept == []


def test_what_does_not_pass_is_raised_at_once(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(patience.VARIABLE, "600")

    def denied() -> None:
        raise PermissionError("denied")

    with pytest.raises(PermissionError):
        patiently("the store", denied, why)
    assert clock.slept == []


def test_a_block_may_have_less_patience_and_never_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(patience.VARIABLE, "600")
    with patience.at_most(120):
        assert patience.limit() == 120
        with patience.at_most(0):
            assert patience.limit() == 0
    with patience.at_most(3600):
        assert patience.limit() == 600


def test_a_limit_that_is_no_number_is_a_config_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(patience.VARIABLE, "ten minutes")
    with pytest.raises(ConfigError, match="FINEST_PATIENCE_SECONDS=ten minutes"):
        patience.limit()


@settings(deadline=None)
@given(limit=st.floats(1, 5000), back=st.floats(0, 6000), takes=st.floats(0, 200))
def test_the_last_try_is_at_the_limit_and_no_wait_goes_beyond_it(limit: float, back: float, takes: float) -> None:
    clock = Clock()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(patience.VARIABLE, str(limit))
        patch.setattr("finest.patience.time.monotonic", lambda: clock.now)
        patch.setattr("finest.patience.time.sleep", clock.sleep)
        first = clock.now + takes  # the absence is known from the first failure on
        try:
            patiently("it", back_at(clock, 1000 + back, takes), why)
        except UnavailableError:
            assert clock.now >= first + limit - 0.01 and clock.now <= first + limit + takes + 0.01
            assert back > takes + limit - 0.01
        else:
            assert clock.now <= max(first, first + limit + takes) + 0.01


def test_an_absence_ends_its_waits_with_its_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(patience.VARIABLE, "0.05")
    absence = Absence("it")
    assert (first := absence.wait("gone")) is not None and first <= 0.05
    time.sleep(0.06)
    assert absence.wait("gone") is None
