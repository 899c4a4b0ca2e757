"""What a training step leaves behind: the shard's folder, with facts and costs in `shard.json`."""

import json
import os
import resource
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from finest.training.progress import Progress, Report
from finest.training.workers import Event

FACTS = "shard.json"
HISTORY_SCHEMA = pa.schema(
    [
        ("stage", pa.string()),
        ("epoch", pa.int32()),
        ("step", pa.int64()),
        ("loss", pa.float64()),
        ("order", pa.float64()),
        ("top", pa.float64()),
        ("rate", pa.float64()),
        ("seconds", pa.float64()),
        ("cpu_seconds", pa.float64()),
        ("targets", pa.int64()),
    ]
)


@dataclass(frozen=True)
class Trained:
    """What a training returns beside the files that it writes."""

    history: list[dict[str, Any]]
    cost: dict[str, float]
    """Seconds, by what they went into."""


def write_facts(folder: Path, facts: dict[str, Any]) -> None:
    """Writes `shard.json`, with this process tree's largest memory."""
    kilobytes = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    (folder / FACTS).write_text(json.dumps({**facts, "peak_memory_mb": kilobytes // 1024}, indent=2, sort_keys=True))


def read_facts(folder: Path) -> dict[str, Any]:
    """What `write_facts` wrote."""
    return json.loads((folder / FACTS).read_text())


def write_history(folder: Path, variant: str, records: list[dict[str, Any]]) -> None:
    """Writes a variant's records, a row an epoch."""
    (folder / "history").mkdir(exist_ok=True)
    pq.write_table(pa.Table.from_pylist(records, HISTORY_SCHEMA), folder / "history" / f"{variant}.parquet")


def read_history(folder: Path, variant: str) -> list[dict[str, Any]]:
    """What `write_history` wrote."""
    return pq.read_table(folder / "history" / f"{variant}.parquet").to_pylist()


def progress(report: Report, epochs: int, trainings: int) -> Callable[[Event], None]:
    """Turns the events of a step's trainings into its progress."""
    finished: dict[str, int] = {}

    def on_event(event: Event) -> None:
        variant, record = event
        finished[variant] = record["epoch"]
        done = sum(finished.values()) / (epochs * trainings)
        speed = record["targets"] / max(record["seconds"], 1e-9) / 1000
        text = f"{variant} {record['epoch']}/{epochs}, {speed:.0f}k targets/s"
        report(Progress(done, text, variant, record["stage"], record["epoch"], record["loss"]))

    return on_event


def default_processes() -> int:
    """Trainings at a time on a CPU: as many as this process may use cores."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
