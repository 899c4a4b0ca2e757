"""What steps tell the terminal: JSON lines appended to the file that FINEST_EVENTS names. Nothing where it is unset (a cluster)."""

import json
import os
import time
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel

VARIABLE = "FINEST_EVENTS"


Kind = Literal["start", "progress", "notice", "finish", "failure"]


class Event(BaseModel):
    """Something that happened in a step."""

    kind: Kind
    step: str
    group: str | None = None
    time: float
    """Seconds since 1970."""
    done: float = 0.0
    """Share of the step that is done, 0 to 1."""
    text: str = ""
    """Of progress: what is going on. Of a notice: what is waited for, or begun again. Of a failure: one line that says what is wrong."""
    cpu: float = 0.0
    """Of an end: CPU seconds of the step, its children included."""
    exit_code: int = 1
    """Of a failure: what `run` exits with."""


def emit(kind: Kind, step: str, group: str | None, **values: Any) -> None:
    """Appends one event in a single write, so that steps that run at the same time do not mix their lines."""
    if path := os.environ.get(VARIABLE):
        line = (
            Event(kind=kind, step=step, group=group, time=time.time(), **values).model_dump_json(exclude_defaults=True)
            + "\n"
        )
        with Path(path).open("ab", buffering=0) as file:
            file.write(line.encode())


def read(path: Path, offset: int = 0) -> tuple[list[Event], int]:
    """Events after byte `offset`, and the offset to go on from. A line that is still being written waits for the next call."""
    if not path.exists():
        return [], offset
    with path.open("rb") as file:
        file.seek(offset)
        whole, newline, _ = file.read().rpartition(b"\n")
    return [Event(**json.loads(line)) for line in whole.splitlines()], offset + len(whole) + len(newline)
