"""What a training step leaves in its group's folder beside the models: facts and costs in `group.json`."""

import json
import resource
from pathlib import Path
from typing import Any

from finest import documents

FACTS = "group.json"
"""File of the group's facts."""
CANDIDATE = "candidate"
"""Folder of the clean variant's tuned model, where the group has that variant."""


def write_facts(folder: Path, facts: dict[str, Any]) -> None:
    """Writes `group.json`, with this process tree's largest memory."""
    kilobytes = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    (folder / FACTS).write_text(json.dumps({**facts, "peak_memory_mb": kilobytes // 1024}, indent=2, sort_keys=True))


def read_facts(folder: Path) -> dict[str, Any]:
    """Returns the facts that `write_facts` wrote. Raises DataError where they are damaged."""
    return documents.read_facts(folder / FACTS, "run the training again")
