from pathlib import Path
from typing import Any

import pytest

from components.events import VARIABLE, Event, costs, emit, read


def test_events_are_read_in_order_and_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "events.jsonl"
    monkeypatch.setenv(VARIABLE, str(file))
    emit("start", "pretrain", "0")
    emit("progress", "pretrain", "0", done=0.5, text="clean 1/2")
    first, offset = read(file)
    emit("finish", "pretrain", "0", cpu=3.0)
    second, offset = read(file, offset)
    assert [(event.kind, event.group, event.done, event.cpu) for event in [*first, *second]] == [
        ("start", "0", 0.0, 0.0),
        ("progress", "0", 0.5, 0.0),
        ("finish", "0", 0.0, 3.0),
    ]
    assert read(file, offset) == ([], offset)


def test_a_line_that_is_still_being_written_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "events.jsonl"
    monkeypatch.setenv(VARIABLE, str(file))
    emit("start", "ingest", None)
    whole = file.read_bytes()
    file.write_bytes(whole + whole[:10])
    events, offset = read(file)
    assert len(events) == 1 and offset == len(whole)
    file.write_bytes(whole + whole)
    assert len(read(file, offset)[0]) == 1


def test_nothing_is_written_where_nobody_listens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    emit("start", "ingest", None)
    assert read(tmp_path / "events.jsonl") == ([], 0)


def test_steps_are_told_by_their_events_and_groups_apart(tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    said = [
        Event(kind="start", step="pretrain", group="0", time=10),
        Event(kind="start", step="pretrain", group="1", time=11),
        Event(kind="progress", step="pretrain", group="0", time=12),
        Event(kind="finish", step="pretrain", group="1", time=15, cpu=3, peak_bytes=5),
        Event(kind="failure", step="pretrain", group="0", time=17, cpu=9, peak_bytes=7),
        Event(kind="start", step="gate", time=18),
    ]
    file.write_text("".join(event.model_dump_json() + "\n" for event in said))
    found: list[Any] = list(costs(file))
    assert found == [("pretrain, group 1", pytest.approx(4), 3, 5), ("pretrain, group 0", pytest.approx(7), 9, 7)]
