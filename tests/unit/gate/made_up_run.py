"""A made-up run, judged."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from finest.data import schema
from finest.gate.config import Gate
from finest.gate.judge import judge
from finest.gate.verdict import RuleResult, Verdict
from finest.testing.rank_lists import CONTROLS, EACH, ITEMS, PROBES, USERS, Run, Scores, items, made_up, mean_rank

__all__ = [
    "CONTROLS",
    "EACH",
    "PROBES",
    "USERS",
    "Run",
    "Scores",
    "failed",
    "items",
    "judged",
    "made_up",
    "mean_rank",
    "noise",
    "rule",
]


NEWEST = datetime(2026, 11, 20, 12, tzinfo=UTC)
"""The newest training interaction."""


def data_folder(folder: Path, fingerprint: str = "today", of: Sequence[str] = tuple(items())) -> Path:
    """What the gate reads of ingest's folder."""
    counts: dict[str, Any] = dict.fromkeys(schema.Manifest.model_fields, 0)
    facts = counts | {
        "fingerprint": fingerprint,
        "quarantined_by_reason": {},
        "split": {},
        "exclude_seen": False,
        "missing_days": [],
        "notes": [],
    }
    facts |= {"since": None, "until": None, "description": None}
    facts["last_train_timestamp"] = int(NEWEST.timestamp() * 1e6)
    folder.mkdir()
    (folder / schema.MANIFEST).write_text(json.dumps(facts))
    codes = range(1, len(of) + 1)
    table = pa.table({"item_code": codes, "item": list(of), "train_interactions": [100 - code for code in codes]})
    pq.write_table(table.cast(schema.ITEMS_SCHEMA), folder / schema.ITEMS)
    users = {
        "user_code": range(USERS),
        "user": [f"u{code}" for code in range(USERS)],
        "interactions": [7 + EACH] * USERS,
        "train_interactions": [7] * USERS,
        "last_train_timestamp": [0] * USERS,
    }
    pq.write_table(pa.table(users).cast(schema.USERS_SCHEMA), folder / schema.USERS)
    return folder


def judged(run: Run, folder: Path) -> Verdict:
    """The verdict on the run's files, which it writes to a folder of their own below `folder`."""
    lists = folder / f"lists-{len(list(folder.iterdir()))}"
    run.write(lists)
    return judge([lists], Gate.model_validate(run.config), data=run.data)


def noise(size: float, seed: int = 9) -> Scores:
    """Noise for the scores of a made-up run."""
    return size * np.random.default_rng(seed).standard_normal((USERS * EACH, ITEMS))


def failed(verdict: Verdict) -> set[str]:
    """Names of the rules that do not hold."""
    return {result.name for result in verdict.rules if result.status == "fail"}


def rule(verdict: Verdict, name: str) -> RuleResult:
    """That rule's result."""
    return next(result for result in verdict.rules if result.name == name)
