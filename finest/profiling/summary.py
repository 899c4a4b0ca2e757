"""Shows where a run's time went, on one page: its steps, the parts of its trainings, and a traced epoch's operators."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from finest import parquet
from finest.peak import GIB

PAGE, NUMBERS = "profile.txt", "profile.json"
"""File of the page, and file of the numbers that it is made from beside the steps."""
FOLDER = "profile"
"""Folder in that of a training step: `<stage>.json`, and `<stage>-trace.json.gz` for chrome://tracing or Perfetto."""
BATCHES = 50
"""Number of batches that the profiler traces. More would make a trace that no viewer opens."""
STAGES = {"pretrain": "pretraining", "finetune": "fine-tuning"}
"""Names of the stages in words."""
PARTS = {"lists": "rank lists", "references": "reference lists", "checkpoints": "checkpoints"}
"""Names in words of the parts that are clocked."""


class StepCost(NamedTuple):
    """Holds what a step of the run has taken, once it has ended."""

    name: str
    seconds: float
    """Wall seconds."""
    cpu_seconds: float
    """CPU seconds, of its child processes too."""
    peak_bytes: int
    """Most memory of its process, or of the largest that it started."""


def measured(groups: Mapping[str, Path]) -> list[dict[str, Any]]:
    """Returns what a page says of every profiled group; nothing where the run was not profiled.

    Args:
        groups: Folder that `finetune` wrote, by the group's id.
    """
    found = []
    for id, group in groups.items():
        if (group / FOLDER).is_dir():
            profiles = {stage: json.loads((group / FOLDER / f"{stage}.json").read_text()) for stage in STAGES}
            operators = {stage: profile["operators"] for stage, profile in profiles.items()}
            found.append({"group": id, "parts": _parts(group, profiles), "operators": operators})
    return found


def page(steps: list[StepCost], groups: list[dict[str, Any]]) -> str:
    """Returns the page as plain text.

    Args:
        steps: Cost of each step of the run.
        groups: What `measured` gave.
    """
    lines = []
    if steps:
        seconds, cpu_seconds = sum(step.seconds for step in steps), sum(step.cpu_seconds for step in steps)
        total = StepCost("all", seconds, cpu_seconds, max(step.peak_bytes for step in steps))
        lines += [f"{'Steps':<38}{'wall s':>10}{'CPU s':>10}{'of CPU':>8}{'peak GiB':>10}"]
        for step in (*sorted(steps, key=lambda one: -one.cpu_seconds), total):
            share = step.cpu_seconds / total.cpu_seconds if total.cpu_seconds else 0.0
            spent = f"{step.seconds:>10.1f}{step.cpu_seconds:>10.1f}{share:>8.1%}{step.peak_bytes / GIB:>10.2f}"
            lines.append(f"  {step.name:<36}{spent}")
        lines.append("")
    for group in groups:
        lines.append(f"{'Trainings of group ' + group['group']:<38}{'wall s':>10}{'CPU s':>10}{'times':>8}")
        for part in group["parts"]:
            lines.append(f"  {part['part']:<36}{part['seconds']:>10.1f}{part['cpu_seconds']:>10.1f}{part['times']:>8}")
        lines += [
            "  wall: summed over trainings side by side; epochs that a resumed run found done are counted too",
            "",
        ]
        for stage, operators in group["operators"].items():
            lines += _operators(
                f"{STAGES[stage]}, group {group['group']}", operators, f"{FOLDER}/group-{group['group']}/{stage}"
            )
    return "\n".join(lines).rstrip() + "\n"


def _parts(group: Path, profiles: dict[str, Any]) -> list[dict[str, Any]]:
    """Returns the cost of epochs, from the histories, and of the parts that were clocked."""
    epochs = [row for file in sorted((group / "history").glob("*.parquet")) for row in parquet.read(file).to_pylist()]
    found = []
    for stage, words in STAGES.items():
        rows = [row for row in epochs if row["stage"].startswith(stage)]
        spent = {unit: sum(row[unit] for row in rows) for unit in ("seconds", "cpu_seconds")}
        found.append({"part": f"{words} epochs", "times": len(rows), **spent})
        for part, values in profiles[stage]["parts"].items():
            found.append({"part": f"{PARTS[part]}, {words}", **values})
    return found


def _operators(title: str, operators: list[dict[str, Any]], place: str) -> list[str]:
    if not operators:
        return [f"Operators of {title}: not traced, for no epoch was left to train", ""]
    *most, total = operators
    device = total["device_seconds"] > 0
    unit = "device_seconds" if device else "cpu_seconds"
    lines = [f"{f'Operators of {title}':<48}{'ms':>10}{'share':>8}{'calls':>8}"]
    for one in most:
        lines.append(
            f"  {one['name'][:44]:<46}{1e3 * one[unit]:>10.1f}{one[unit] / total[unit]:>8.1%}{one['calls']:>8}"
        )
    lines.append(f"  {'all':<46}{1e3 * total[unit]:>10.1f}")
    of = "the device's own time" if device else "CPU time"
    return [
        *lines,
        f"  {of}, without what operators call, of up to {BATCHES} batches; trace: {place}-trace.json.gz",
        "",
    ]
