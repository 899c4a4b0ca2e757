"""Where no user has two instances, that is told before anything is trained."""

from pathlib import Path
from typing import Any

import pytest

from components import events
from tests.builders import write_walks
from tests.integration.components.test_bad_input import read


@pytest.mark.parametrize(
    ("split", "step", "says"),
    [
        ({"method": "leave_one_out"}, "preflight", "ingest.split.method=leave_one_out holds out one row a user"),
        ({"method": "last_fraction", "fraction": 0.001}, "ingest", "no user has two held-out rows"),
        ({"method": "last_fraction", "fraction": 0.3}, None, ""),
    ],
)
def test_plasticity_that_cannot_be_measured_is_told_once(
    local_run: str, small: dict[str, Any], tmp_path: Path, split: dict[str, Any], step: str | None, says: str
) -> None:
    sections = small | {"ingest": small["ingest"] | {"split": split}}
    read(write_walks(tmp_path / "data.csv"), tmp_path / "interactions", str(tmp_path / "checkpoints"), sections)
    found, _ = events.read(tmp_path / "events.jsonl", 0)
    heard = [(event.step, event.text) for event in found if event.kind == "notice"]
    assert [one for one, _ in heard] == ([step] if step else [])
    assert all(says in text and "frozen.plasticity" in text and "\n" not in text for _, text in heard)
