"""Answers of a real Kubeflow Pipelines backend (2.17.0 on Argo 4.0.5).

Also what it would have answered at earlier moments of the run.
"""

import json
import re
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

FOLDER = Path(__file__).parents[1] / "data" / "kfp"
NEVER = "1970-01-01T00:00:00Z"
"""What the backend writes for a time that has not come."""


class Recorded(NamedTuple):
    """A run as it was at a time."""

    at: datetime
    answer: dict[str, Any]


def answer(name: str) -> Any:
    """A recorded answer, as it came but for what it says of parameters, addresses and mounts."""
    return json.loads((FOLDER / f"{name}.json").read_text())


def life(run: dict[str, Any]) -> list[Recorded]:
    """The run at every time at which the backend was told something new."""
    times = {change["update_time"] for one in [run, *tasks(run)] for change in one.get("state_history", [])}
    full = names(run)
    return [Recorded(datetime.fromisoformat(at), cut(run, at, full)) for at in sorted(times)]


def cut(run: dict[str, Any], at: str, full: dict[str, str]) -> dict[str, Any]:
    """The run as it was at a time: what began later is not there, what ended later goes on.

    `full` is what `names` gives.
    """
    there = []
    for task in tasks(run):
        if (known := _until(task, at)) is not None:
            # A child is there from when the first task of its name is that began no sooner than this one.
            later = [other for other in tasks(run) if other["start_time"] >= task["start_time"] and _first(other) <= at]
            shown = {other.get("display_name") for other in later}
            known["child_tasks"] = [
                one for one in task.get("child_tasks", []) if full[one["pod_name"]].rpartition(".")[2] in shown
            ]
            there.append(known)
    changes = [change for change in run["state_history"] if change["update_time"] <= at]
    ended = len(changes) == len(run["state_history"])
    return run | {
        "state": changes[-1]["state"],
        "state_history": changes,
        "finished_at": run["finished_at"] if ended else NEVER,
        "run_details": {"task_details": there},
    }


def tasks(run: dict[str, Any]) -> list[dict[str, Any]]:
    """What the answer says of the workflow's nodes, and of what steps left in KFP's store of metadata.

    The latter has no name.
    """
    return list(run["run_details"]["task_details"])


def names(run: dict[str, Any]) -> dict[str, str]:
    """Full name of every node by its id: the workflow's name and a hash of the full name (FNV-1a, 32 bits)."""
    ids = {child["pod_name"] for task in tasks(run) for child in task.get("child_tasks", [])}
    workflow = min(ids).rpartition("-")[0]
    inner = {"." + re.sub(r"\(\d+\)$", "", task["display_name"]) for task in tasks(run) if "display_name" in task}
    found, todo = {workflow: workflow}, [workflow]
    for name in todo:
        for suffix in [*inner, *(f"({number})" for number in range(10))]:
            if (id := f"{workflow}-{_fnv1a(name + suffix)}") in ids:
                found[id] = name + suffix
                todo.append(name + suffix)
    return found


def _fnv1a(text: str) -> int:
    value = 2166136261
    for byte in text.encode():
        value = (value ^ byte) * 16777619 % 2**32
    return value


def _until(task: dict[str, Any], at: str) -> dict[str, Any] | None:
    """The task by what was known of it at the time; None where that was nothing."""
    history = task.get("state_history", [])
    changes = [change for change in history if change["update_time"] <= at]
    if _first(task) > at:
        return None
    known = {name: value for name, value in task.items() if name != "state"} | {"state_history": changes}
    if changes and "state" in changes[-1]:
        known["state"] = changes[-1]["state"]
    return known if len(changes) == len(history) else known | {"end_time": NEVER}


def _first(task: dict[str, Any]) -> str:
    """When it was first known."""
    return str(task["state_history"][0]["update_time"] if task.get("state_history") else task["end_time"])
