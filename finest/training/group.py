"""Measures and tells what the trainings of a group do."""

import logging
import os
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from finest.perturb.plan import Variant
from finest.plural import counted
from finest.training.device import hardware
from finest.training.progress import Progress, Report
from finest.training.workers import Event

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Trained:
    """Holds what a training returns beside the files that it writes."""

    history: list[dict[str, Any]]
    cost: dict[str, float]
    """Seconds, by what they went into."""


class Clock:
    """Measures wall and CPU seconds of this process between laps."""

    def __init__(self) -> None:
        self.last = self._now()

    def lap(self) -> tuple[float, float]:
        """Returns the wall and CPU seconds since the last lap."""
        before, self.last = self.last, self._now()
        return self.last[0] - before[0], self.last[1] - before[1]

    def _now(self) -> tuple[float, float]:
        return time.perf_counter(), time.process_time()


def cost(
    stage: str, trained: tuple[float, float], variants: int, listed: tuple[float, float], history: list[dict[str, Any]]
) -> dict[str, float]:
    """Computes a variant's cost of a stage, in seconds: its share of the training's, and what its lists took.

    Args:
        stage: `pretrain` or `finetune`.
        trained: Wall and CPU seconds that the training took.
        variants: Number of variants that share it.
        listed: Wall and CPU seconds that the variant's lists took.
        history: The variant's history.
    """
    return {
        f"{stage}_seconds": trained[0] / variants,
        f"{stage}_cpu_seconds": trained[1] / variants,
        "lists_cpu_seconds": listed[1],
        f"{stage}_epochs_cpu_seconds": sum(record["cpu_seconds"] for record in history),
    }


def announce(variants: Sequence[Variant], device: torch.device, units: Sequence[object], processes: int) -> None:
    """Logs what is trained, where, and how many at a time."""
    if len(units) < len(variants):
        how = f"in {counted(len(units), 'stack')}"
    else:
        how = f"{max(1, min(processes, len(units)))} at a time" if device.type == "cpu" else "one by one"
    logger.info(
        "%d variants on %s, %s: %s",
        len(variants),
        hardware(device),
        how,
        ", ".join(variant.name for variant in variants),
    )


def progress(report: Report, epochs: int, trainings: int) -> Callable[[Event], None]:
    """Returns a function that turns the events of a step's trainings into its progress."""
    finished: dict[str, int] = {}
    over: Counter[str] = Counter()  # epochs of a variant's trainings before its present one, under another protocol

    def on_event(event: Event) -> None:
        variant, record = event
        resumed = record.get("resumed", False)
        if record["epoch"] <= finished.get(variant, 0):
            over[variant] += finished[variant]
        finished[variant] = record["epoch"]
        done = (sum(finished.values()) + over.total()) / (epochs * trainings)
        speed = record["targets"] / max(record["seconds"], 1e-9) / 1000
        pace = "resumed" if resumed else f"{speed:.0f}k targets/s"
        text = f"{variant} {record['epoch']}/{epochs}, {pace}"
        report(Progress(done, text, variant, record["stage"], record["epoch"], record["loss"], resumed))

    return on_event


def default_processes() -> int:
    """Returns the number of trainings at a time on a CPU: as many as this process may use cores."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
