"""What a night's verdict says of its data and of the champion."""

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from finest.data.schema import Manifest
from finest.gate.judge import skipped
from finest.gate.notes import notes_on_data
from tests.unit.gate.made_up_run import judged, made_up

FACTS: dict[str, Any] = {
    "since": date(2026, 11, 10),
    "until": date(2026, 11, 23),
    "missing_days": (date(2026, 11, 12), date(2026, 11, 16)),
    "late_rows": 7,
    "quarantined_by_reason": {"duplicate": 60, "item missing": 1},
    "fingerprint": "today",
    "instances": 0,
    "users": 9,
    "items": 40,
}
STRANGE = Manifest.model_construct(**FACTS)


def test_lost_days_late_rows_and_repeats_are_named() -> None:
    lost, late, twice = notes_on_data(STRANGE)
    assert lost == "Of the days from 2026-11-10 to 2026-11-23, no partition is there of: 2026-11-12, 2026-11-16."
    assert late.startswith("7 rows came in later")
    assert twice.startswith("60 rows repeat another")


def test_ordinary_data_is_no_news() -> None:
    assert (
        list(
            notes_on_data(STRANGE.model_copy(update={"missing_days": (), "late_rows": 0, "quarantined_by_reason": {}}))
        )
        == []
    )


def test_a_skipped_verdict_has_its_reason_and_no_metrics() -> None:
    verdict = skipped("Nothing came.", STRANGE, datetime(2026, 11, 24, tzinfo=UTC), {"run": "1"})
    assert (verdict.verdict, verdict.reason, verdict.metrics, verdict.rules) == ("skipped", "Nothing came.", {}, [])
    assert verdict.notes == list(notes_on_data(STRANGE)) and verdict.age == {"as_of": "2026-11-24T00:00:00+00:00"}


def test_new_items_and_those_that_are_gone_are_counted(tmp_path: Path) -> None:
    run = made_up(champion=True)
    assert not any(name.startswith("catalogue/") for name in judged(run, tmp_path).metrics)
    run.described["champion", "tuned"] = {"extra": {"new_items": 12, "vanished_items": 3}}
    verdict = judged(run, tmp_path)
    assert (verdict.metrics["catalogue/new"], verdict.metrics["catalogue/vanished"]) == (12, 3)
    assert any("12 are new since the champion; 3 of the champion's are gone." in note for note in verdict.notes)


def test_whose_lists_are_kept_is_said(tmp_path: Path) -> None:
    run = made_up(champion=True)
    assert "reference lists of the clean variant's base model" in " ".join(judged(run, tmp_path).notes)
    for name in run.scores:
        if name[0] not in ("champion", "popularity", "repeat_last"):
            run.described[name] = {"reference": "champion/3"}
    verdict = judged(run, tmp_path)
    assert verdict.reference == "champion/3" and "reference lists of champion version 3," in " ".join(verdict.notes)
