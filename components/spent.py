"""What the steps of a local run took, by the events that they left."""

from pathlib import Path

from components import events
from finest.profiling.summary import Step


def steps(file: Path) -> list[Step]:
    """Steps that have ended, in that order, by the events in `file`."""
    started: dict[tuple[str, str | None], float] = {}
    found = []
    for event in events.read(file)[0]:
        key = event.step, event.group
        if event.kind == "start":
            started[key] = event.time
        elif event.kind in ("finish", "failure"):
            name = event.step if event.group is None else f"{event.step}, group {event.group}"
            found.append(Step(name, event.time - started[key], event.cpu))
    return found
