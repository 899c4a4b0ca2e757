"""The history of a line, from the runs and versions of a real store."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from finest.errors import FinestError
from finest.gate.verdict import Night, Verdict
from tracking import production, promotion, records, registry, runs, store
from tracking.history import past_nights
from tracking.promotion import Judged

Model = Callable[[int], Path]
Made = Callable[..., Verdict]


@pytest.fixture
def live(
    state: Path, monkeypatch: pytest.MonkeyPatch, judged: Callable[..., Judged], verdict: Made
) -> Callable[..., Night]:
    """Lives through a night of a line: the gate logs its verdict, and the candidate becomes a version."""

    def night(run: str, champion: str = "", passed: bool = True, line: str = "finest", rebased: str = "") -> Night:
        monkeypatch.setenv("KFP_RUN_ID", run)
        runs.open_parent({}, line=line, source="/data/ml-100k.inter", seed=0, tags={runs.REBASE: rebased})
        word = "pass" if passed else "fail"
        entry = Night.model_validate(
            {
                "run": run,
                "verdict": word,
                "champion": champion,
                "log_ratio": -0.0123456789012345,
                "standard_error": 0.01,
            }
        )
        said = verdict(verdict=word, night=entry)
        with runs.step_run("gate") as step:
            records.log_verdict(step, said, {}, {})
        with runs.step_run("register") as step:
            made = promotion.register(step, line, replace(judged(0), verdict=said))
            if passed and made.aliases == ():
                production.make(production.promotion(line, made.version, force=True), "a test")
        return entry

    return night


def promoted(champion: str) -> dict[str, bool]:
    return {night.run: night.promoted for night in past_nights(champion)}


def test_a_line_is_read_back_with_who_became_champion_and_without_those_that_were_rolled_back(
    live: Callable[..., Night], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = live("run-1")
    live("run-2", champion="1")
    live("elsewhere", line="other")
    live("run-3", champion="2", passed=False)
    live("run-4", champion="2")
    (read, *_), champion = past_nights("4"), registry.champion("finest")
    assert read == first.model_copy(update={"promoted": True})
    assert champion is not None and champion.version == "4"
    assert promoted("4") == {"run-1": True, "run-2": True, "run-3": False, "run-4": True}
    back = production.make(production.rollback("finest", "2", force=True), "a test")
    assert promoted(back.version) == {"run-1": True, "run-2": True, "run-3": False, "run-4": False}
    assert promoted("") == dict.fromkeys(("run-1", "run-2", "run-3", "run-4"), False)
    assert [night.run for night in past_nights("4", count=2)] == ["run-3", "run-4"]


def test_a_line_that_has_started_over_has_no_nights_from_before(
    live: Callable[..., Night], monkeypatch: pytest.MonkeyPatch
) -> None:
    live("run-1")
    live("run-2", champion="1")
    live("run-3", passed=False, rebased="2")
    assert past_nights("") == []
    monkeypatch.setenv("KFP_RUN_ID", "run-2")
    assert promoted("2") == {"run-1": True, "run-2": True, "run-3": False}
    live("run-4", rebased="2")
    live("run-5", champion="4")
    assert promoted("5") == {"run-4": True, "run-5": True}


def test_a_retried_gate_leaves_one_entry(live: Callable[..., Night]) -> None:
    live("run-1")
    live("run-1")
    assert len(past_nights("1")) == 1


def test_a_history_that_cannot_be_read_is_one_line_and_no_first_night(
    live: Callable[..., Night], monkeypatch: pytest.MonkeyPatch
) -> None:
    live("run-1")
    store.connect().set_tag(runs.find_parent(), "night", '{"run": "run-1"}')
    with pytest.raises(FinestError, match=r"the tag night of run .* is no night's entry") as raised:
        past_nights("1")
    assert "\n" not in str(raised.value)
    monkeypatch.setenv("KFP_RUN_ID", "run-9")
    with pytest.raises(FinestError, match="does not say which line the pipeline run run-9 is of"):
        past_nights("1")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("FINEST_PATIENCE", "0")
    with pytest.raises(FinestError, match="cannot be used"):
        past_nights("1")
