"""Events that steps tell the terminal of: JSON lines in the file that FINEST_EVENTS names.

Nothing where it is unset (a cluster).
"""

import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel

from finest.secrets import masked_all

if TYPE_CHECKING:
    from finest.profiling.summary import StepCost

VARIABLE = "FINEST_EVENTS"
"""Environment variable: the file of events. Set in local runs alone."""

Kind = Literal["start", "progress", "notice", "finish", "failure"]


class Event(BaseModel):
    """Holds something that happened in a step."""

    kind: Kind
    step: str
    """Name of the step's component."""
    group: str | None = None
    """Id of the group that the step trains; None for steps outside of groups."""
    time: float
    """Seconds since 1970."""
    done: float = 0.0
    """Share of the step that is done, 0 to 1."""
    resumed: bool = False
    """Progress: whether what is new is the work of an earlier process, which this one goes on from."""
    text: str = ""
    """Progress: what is going on. Notice: what is waited for, or begun again. Failure: one line that says what is
    wrong."""
    cpu: float = 0.0
    """Finish and failure: CPU seconds of the step, its children included."""
    peak_bytes: int = 0
    """Finish and failure: most memory of the step's process, or of the largest that it started."""
    exit_code: int = 1
    """Failure: exit code of `run`."""


def emit(kind: Kind, step: str, group: str | None, **values: Any) -> None:
    """Appends one event, masked, in a single write, so that steps that run at the same time do not mix their lines."""
    if path := os.environ.get(VARIABLE):
        values = masked_all(values)
        line = (
            Event(kind=kind, step=step, group=group, time=time.time(), **values).model_dump_json(exclude_defaults=True)
            + "\n"
        )
        with Path(path).open("ab", buffering=0) as file:
            file.write(line.encode())


def read(path: Path, offset: int = 0) -> tuple[list[Event], int]:
    """Reads the events after byte `offset`. Returns them, and the offset to go on from.

    A line that is still being written waits for the next call.
    """
    if not path.exists():
        return [], offset
    with path.open("rb") as file:
        file.seek(offset)
        whole, newline, _ = file.read().rpartition(b"\n")
    return [Event(**json.loads(line)) for line in whole.splitlines()], offset + len(whole) + len(newline)


def costs(file: Path) -> list["StepCost"]:
    """Returns what the steps of a local run have taken, in the order in which they ended, by the events in `file`."""
    from finest.profiling.summary import StepCost  # it needs pyarrow, which a step that only emits must not wait for

    started: dict[tuple[str, str | None], float] = {}
    found = []
    for event in read(file)[0]:
        key = event.step, event.group
        if event.kind == "start":
            started[key] = event.time
        elif event.kind in ("finish", "failure"):
            name = event.step if event.group is None else f"{event.step}, group {event.group}"
            found.append(StepCost(name, event.time - started[key], event.cpu, event.peak_bytes))
    return found
