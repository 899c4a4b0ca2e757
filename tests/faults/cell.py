"""A cell of the matrix: a fault at a step. It ends well with the undisturbed run's result.

That is at once, or after one clear line (none, where the command itself was killed) and the same command once more.
"""

import subprocess
import time
from collections.abc import Sequence
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
    together: int = 1
    """How many steps were struck one after another in its state."""

    def as_json(self) -> dict[str, Any]:
        """Returns it as plain data."""
        return asdict(self)


def strike(fault: Fault, steps: Sequence[str], night: Night, reference: Night) -> list[Cell]:
    """Makes cells in a night's folder, which is not there yet: of the steps, or of some of them, the first among those.

    Several are struck one after another: in one run where the fault lets it go on, else by one command each in the same
    state. What comes of the last is then what comes of all. Where a run came to its end before some steps, or went too
    fast for them, they have no cell. Seconds are shared among the cells evenly.
    """
    began, cpu = time.monotonic(), _children_cpu()
    night.prepare()
    try:
        fault.prepare(night)
        outcomes = _outcomes(fault, [steps] if fault.passes else [[step] for step in steps], night, reference)
    finally:
        _unmount(night.state)
    together = len(outcomes)
    seconds, spent = time.monotonic() - began, _children_cpu() - cpu + night.cpu_seconds()
    return [
        Cell(fault.name, step, night.runner, outcome, line, seconds / together, spent / together, together)
        for step, outcome, said in outcomes
        for line in [" ".join(said.replace(str(night.folder), "").split())]
    ]


def _outcomes(
    fault: Fault, runs: Sequence[Sequence[str]], night: Night, reference: Night
) -> list[tuple[str, Outcome, str]]:
    """Strikes a command for each of the lists of steps, then runs it alone; returns steps and what came of each."""
    done: list[tuple[Struck, Ended]] = []

    def all_are(outcome: Outcome, said: str, *more: str) -> list[tuple[str, Outcome, str]]:
        return [(step, outcome, said) for step in [*(struck.step for struck, _ in done), *more]]

    for steps in runs:
        strikes, ended = _strike_run(fault, steps, night)
        done += [(struck, ended) for struck in strikes]
        if wrong := next((struck.wrong for struck in strikes if struck.wrong), "") or _bad_end(fault, ended):
            return all_are("WRONG", wrong)
        if not strikes or (ended.code and len(steps) > 1):
            return all_are("not struck", f"the run ended before: {ended.said}", *([] if strikes else steps))
        if ended.code == 0:  # it may have promoted, and then the next command finds nothing to do
            if found := differences(night, reference):
                return all_are("WRONG", "; ".join(found))
            break
    else:
        last, ended = done[-1]
        if wrong := _again(last, night, reference):
            return all_are("WRONG", f"{wrong}; at first: {ended.said}")
    return [(struck.step, *_good_end(fault, struck, ended)) for struck, ended in done]


def _good_end(fault: Fault, struck: Struck, first: Ended) -> tuple[Outcome, str]:
    if first.code == 0:
        return "equal", struck.said
    if fault.killed:
        return "killed, then equal", struck.said
    return "line, then equal", f"{struck.said}: {first.said}" if struck.said else first.said


def _strike_run(fault: Fault, steps: Sequence[str], night: Night) -> tuple[list[Struck], Ended]:
    """Starts the command and strikes it at those of the steps that it comes to; returns the strikes and its end."""
    strikes: list[Struck] = []
    everyone: list[psutil.Process] = []
    main = night.start() if fault.moment(steps[0]) else None
    for step in steps:
        moment = fault.moment(step)
        if moment and not night.until(*moment):
            break
        if strikes and night.happened(step, "finish"):
            continue  # while it was struck before
        everyone = night.processes() if main else []
        strikes.append(Struck(night, step, main or psutil.Process()))
        fault.act(strikes[-1])
        main = main or night.start()
    first = night.end(everyone)
    for struck in strikes:
        for undo in struck.undo:
            undo()
    return strikes, first


def _again(last: Struck, night: Night, reference: Night) -> str:
    """Runs the same command once more; returns what is wrong then."""
    again = night.whole()
    if again.code != 0:
        return f"the same command again: {again.code}: {again.said}"
    if last.step == "recommend" and not served(night.folder / "out"):
        lists = night.recommend()
        if lists.code != 0:
            return f"finest recommend: {lists.code}: {lists.said}"
        last.said = "it was promoted already, and its lists are not of that run: finest recommend wrote them"
    found = differences(night, reference)
    return f"after the same command again, {'; '.join(found)}" if found else ""


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
