"""The faults: when each strikes, what it does, and how it is undone."""

import contextlib
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import get_args

import psutil

from components import events
from tests.damage import flipped
from tests.faults.night import STEPS, Night, Runner, step_process

TRAININGS = ("pretrain", "finetune")
INPUTS: dict[str, tuple[str, ...]] = {
    "champion": ("ingest/interactions",),
    "perturb": ("ingest/interactions",),
    "calibrate": ("ingest/interactions",),
    "pretrain": ("perturb/edits", "calibrate/recipe"),
    "finetune": ("pretrain/bases",),
    "gate": ("finetune/tuned", "champion/lists"),
    "promote": ("gate/candidate", "gate/verdict"),
    "recommend": ("ingest/interactions",),
}
"""Folders that a step reads, of which one file is damaged."""
LINED = "equal, or a line first"
KILLED = "killed"
CLOCK = Path(__file__).with_name("clock.c")
SHIFT = "FINEST_TESTS_CLOCK"
"""Environment variable: file with the number of seconds by which the clock is wrong."""


@dataclass
class Struck:
    """A night that a fault strikes."""

    night: Night
    step: str
    main: psutil.Process
    undo: list[Callable[[], object]] = field(default_factory=list)
    said: str = ""
    """What is to be said of it in the table."""
    wrong: str = ""
    """What was not as it must be while it struck."""


@dataclass(frozen=True)
class Fault:
    """Something that befalls a run."""

    name: str
    title: str
    act: Callable[[Struck], None]
    """Does it."""
    early: bool = False
    """Whether it strikes before the step's process is there: once the step before has ended."""
    killed: bool = False
    """Whether the command dies of it, and has no word to say."""
    passes: bool = False
    """Whether the run goes on through it to its end, and so can be struck at several steps."""
    steps: tuple[str, ...] = STEPS
    """Where it can strike."""
    why_not: str = ""
    """Why it can strike nowhere else."""
    prepare: Callable[[Night], None] = lambda night: None
    """Makes the night ready for it, before it begins."""
    runners: tuple[Runner, ...] = get_args(Runner)
    """What steps can run in where it strikes."""

    def moment(self, step: str) -> tuple[str, str] | None:
        """Returns the event at which it strikes; None: as the command starts."""
        if self.early:
            place = STEPS.index(step)
            return (STEPS[place - 1], "finish") if place else None
        return step, ("progress" if self.name == "kill worker" else "start")


def _kill_main(struck: Struck) -> None:
    struck.main.kill()


def _kill_step(struck: Struck) -> None:
    process = step_process(struck.night, struck.step)
    if process is None:
        struck.said = "the step had ended already"
    else:
        process.kill()


def _kill_worker(struck: Struck) -> None:
    step = step_process(struck.night, struck.step)
    children = step.children(recursive=True) if step else []
    workers = [one for one in children if "spawn_main" in " ".join(one.cmdline())]
    if not workers:
        struck.wrong = "there was no worker"
    for worker in workers:
        worker.kill()


def _kill_all(struck: Struck) -> None:
    everyone = struck.night.processes()
    for process in everyone:
        process.suspend()
    for process in {*everyone, *struck.night.processes()}:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


def _terminate(struck: Struck) -> None:
    struck.main.send_signal(signal.SIGTERM)


def _mount(night: Night) -> None:
    night.state.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=192m", "tmpfs", str(night.state)], check=True)


def _fill(struck: Struck) -> None:
    ballast = struck.night.state / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for size in (1 << 20, 4096):
            with contextlib.suppress(OSError):
                while True:
                    file.write(bytes(size))
    struck.undo.append(lambda: ballast.unlink(missing_ok=True))


def _starve(struck: Struck) -> None:
    """What the step has of memory is all that it will ever have, and so of the processes that it starts."""
    process = step_process(struck.night, struck.step)
    if process is None:
        struck.said = "the step had ended already"
        return
    most = process.memory_info().vms + (4 << 20)
    owner = {"user": process.uids().real, "group": process.gids().real, "extra_groups": []}  # whoever else may not
    subprocess.run(["prlimit", f"--pid={process.pid}", f"--as={most}"], check=True, **owner)


def _second_run(struck: Struck) -> None:
    first = struck.night.run if struck.step != STEPS[0] else None
    second = replace(struck.night, process=None).whole()
    if second.code == 0 and first and _last(first).time < _first(struck.night.run).time:
        struck.said = "the first run had ended before the second looked"
        return
    if second.code != 1 or "another run is using this state" not in second.said or second.said.count("\n") != 1:
        struck.wrong = f"the second run ended with {second.code}: {second.said}"
    struck.said = second.said.strip()


def _first(run: Path) -> events.Event:
    return events.read(run / "events.jsonl")[0][0]


def _last(run: Path) -> events.Event:
    return events.read(run / "events.jsonl")[0][-1]


def _damaging(change: Callable[[bytes], bytes]) -> Callable[[Struck], None]:
    def act(struck: Struck) -> None:
        folder = random.Random(struck.step).choice(INPUTS[struck.step])
        (place,) = struck.night.run.glob(f"kfp/*/{folder}")
        file = max((path for path in place.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)
        file.write_bytes(change(file.read_bytes()))
        struck.said = f"{folder}/{file.relative_to(place)}"

    return act


def library(folder: Path) -> Path:
    """Returns the library that moves the clock, built by the C compiler of this machine."""
    built = folder / "clock.so"
    if not built.exists():
        subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", str(built), str(CLOCK), "-ldl", "-pthread"], check=True)
    return built


def _clocked(night: Night) -> None:
    wrong = night.folder / "clock"
    wrong.write_text("0")
    night.environment = {**night.environment, "LD_PRELOAD": str(library(night.folder)), SHIFT: str(wrong)}


def _shifted(seconds: int) -> Callable[[Struck], None]:
    def act(struck: Struck) -> None:
        Path(struck.night.environment[SHIFT]).write_text(str(seconds))

    return act


def _damage(name: str, title: str, change: Callable[[bytes], bytes]) -> Fault:
    return Fault(name, title, _damaging(change), early=True, steps=tuple(INPUTS), why_not="reads no folder of a step's")


DAY = 86_400
CLOCKED: tuple[Runner, ...] = ("subprocess",)
"""Containers have the machine's own clock."""
LOCAL = (
    Fault("kill main", "SIGKILL of the command", _kill_main, killed=True),
    Fault("kill step", "SIGKILL of the step", _kill_step),
    Fault("kill worker", "SIGKILL of the training's process", _kill_worker, steps=TRAININGS, why_not="has no worker"),
    Fault("kill all", "SIGKILL of all processes at once", _kill_all, killed=True),
    Fault("terminate", "SIGTERM of the command", _terminate),
    Fault("disk full", "the disk of the state is full", _fill, prepare=_mount),
    Fault("memory", "the step gets no more memory", _starve),
    _damage("flip", "one bit flipped in what the step reads", lambda content: flipped(content, 4 * len(content))),
    _damage("truncate", "half of a file that the step reads is gone", lambda content: content[: len(content) // 2]),
    Fault("clock ahead", "the clock jumps a day ahead", _shifted(DAY), early=True, prepare=_clocked, runners=CLOCKED),
    Fault("clock back", "the clock jumps a day back", _shifted(-DAY), early=True, prepare=_clocked, runners=CLOCKED),
    Fault("two runs", "the same command is started once more", _second_run, passes=True),
)
"""Those that need no service."""


def possible(fault: Fault) -> str:
    """Returns why a fault cannot be made on this machine; empty where it can."""
    if fault.name == "disk full" and (os.geteuid() != 0 or sys.platform != "linux"):
        return "mounting a small disk needs root"
    return ""
