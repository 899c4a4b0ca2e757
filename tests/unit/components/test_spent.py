from pathlib import Path

import pytest

from components import events
from components.spent import steps


def test_steps_are_told_by_their_events_and_groups_apart(tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    said = [
        events.Event(kind="start", step="pretrain", group="0", time=10),
        events.Event(kind="start", step="pretrain", group="1", time=11),
        events.Event(kind="progress", step="pretrain", group="0", time=12),
        events.Event(kind="finish", step="pretrain", group="1", time=15, cpu=3),
        events.Event(kind="failure", step="pretrain", group="0", time=17, cpu=9),
        events.Event(kind="start", step="gate", time=18),
    ]
    file.write_text("".join(event.model_dump_json() + "\n" for event in said))
    assert steps(file) == [("pretrain, group 1", pytest.approx(4), 3), ("pretrain, group 0", pytest.approx(7), 9)]
