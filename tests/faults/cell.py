"""A cell of the matrix: a fault at a step. It ends well with the undisturbed run's result.

That is at once, or after one clear line (none, where the command itself was killed) and the same command once more.
"""

import subprocess
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import psutil

from tests.faults.fault import Fault, Struck
from tests.faults.night import Ended, Night, differences, served

Outcome = Literal["equal", "line, then equal", "killed, then equal", "WRONG", "not struck"]


@dataclass(frozen=True)
class Cell:
    """What came of a fault at a step."""

    fault: str
    step: str
    runner: str
    outcome: Outcome
    said: str
    """The line with which the first run ended, or what was damaged, or what is wrong."""
    seconds: float
    cpu_seconds: float

    def as_json(self) -> dict[str, Any]:
        """Returns it as plain data."""
        return asdict(self)


def strike(fault: Fault, step: str, night: Night, reference: Night) -> Cell:
    """Makes a cell in a night's folder, which is not there yet."""
    began, cpu = time.monotonic(), _children_cpu()
    night.prepare()
    try:
        fault.prepare(night)
        outcome, said = _struck(fault, step, night, reference)
    finally:
        _unmount(night.state)
    line = " ".join(said.replace(str(night.folder), "").split())
    spent = _children_cpu() - cpu + night.cpu_seconds()
    return Cell(fault.name, step, night.runner, outcome, line, time.monotonic() - began, spent)


def _struck(fault: Fault, step: str, night: Night, reference: Night) -> tuple[Outcome, str]:
    moment, since = fault.moment(step), time.time()
    struck = Struck(night, step, night.start() if moment else psutil.Process())
    if moment is None:
        fault.act(struck)
        struck.main = night.start()
        everyone = []
    else:
        came = night.until(*moment, after=since - 100_000)
        everyone = night.processes()
        if not came:
            return "not struck", f"{' '.join(moment)} never came: {night.end(everyone).said}"
        fault.act(struck)
    first = night.end(everyone)
    for undo in struck.undo:
        undo()
    if wrong := struck.wrong or _bad_end(fault, first):
        return "WRONG", wrong
    if first.code == 0:
        found = differences(night, reference)
        return ("WRONG", "; ".join(found)) if found else ("equal", struck.said)
    again = night.whole()
    if again.code != 0:
        return "WRONG", f"the same command again: {again.code}: {again.said}; at first: {first.said}"
    if step == "recommend" and not served(night.folder / "out"):
        lists = night.recommend()
        if lists.code != 0:
            return "WRONG", f"finest recommend: {lists.code}: {lists.said}"
        struck.said = "it was promoted already, and its lists are not of that run: finest recommend wrote them"
    if found := differences(night, reference):
        return "WRONG", f"after the same command again, {'; '.join(found)}; at first: {first.said}"
    line = f"{struck.said}: {first.said}" if struck.said else first.said
    return ("killed, then equal", struck.said) if fault.killed else ("line, then equal", line)


def _bad_end(fault: Fault, first: Ended) -> str:
    """Says what is wrong with how the first run ended, if anything is."""
    if first.left:
        return f"{first.left} processes were there a minute later"
    if first.code == 0 or (fault.killed and first.code < 0):
        return ""
    if not first.said.startswith("error: ") or first.said.count("\n") != 1:
        return f"no line of an error, exit code {first.code}: {first.said!r}"
    return ""


def _children_cpu() -> float:
    import resource

    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _unmount(place: Path) -> None:
    if place.is_mount():
        subprocess.run(["umount", "--lazy", str(place)], check=True)
