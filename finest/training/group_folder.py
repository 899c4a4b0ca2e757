"""What a training step leaves in its group's folder beside the models: facts and costs in `group.json`."""

import json
from pathlib import Path
from typing import Any

from finest import documents
from finest.peak import family_peak_bytes

FACTS = "group.json"
"""File of the group's facts."""
CANDIDATE = "candidate"
"""Folder of the clean variant's tuned model, where the group has that variant."""


def write_facts(folder: Path, facts: dict[str, Any]) -> None:
    """Writes `group.json`, with the peak of this process or of the largest that it started."""
    megabytes = family_peak_bytes() >> 20
    (folder / FACTS).write_text(json.dumps({**facts, "peak_memory_mb": megabytes}, indent=2, sort_keys=True))


def read_facts(folder: Path) -> dict[str, Any]:
    """Returns the facts that `write_facts` wrote. Raises DataError where they are damaged."""
    return documents.read_facts(folder / FACTS, "run the training again")
