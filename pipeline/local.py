"""Runs the whole pipeline on this machine, in a process of its own that is followed to its end and cleaned up after."""

import contextlib
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import NoReturn

from rich.console import Console

from components import events, orphan
from components.memory import killed_here
from components.step import cpu_seconds
from finest.durations import duration
from finest.errors import FinestError
from finest.gate.verdict_file import read_verdict
from finest.plural import counted
from finest.profiling.summary import FOLDER, NUMBERS, PAGE, page
from finest.secrets import hide_variable, masked
from pipeline import config as configs
from pipeline import containers
from pipeline.config import Config
from pipeline.ending import EXIT_CODES, NOT_PROMOTED, CancelledError, unapproved, unchanged
from pipeline.outputs import keep
from pipeline.plain import say
from pipeline.progress import renderer, title
from pipeline.retention import retain
from pipeline.state import State, temporary
from pipeline.table import show
from tracking import links
from tracking.answer import check
from tracking.closing import close_left_open, close_parent
from tracking.embedded import file_of, replaced
from tracking.outcome import outcome
from tracking.records import log_file
from tracking.store import uri

POLL_SECONDS = 0.2
GRACE_SECONDS = 10
"""Longest time that steps may take to end once they are told to."""


@dataclass(frozen=True)
class RunCost:
    """Holds what a run took, in seconds."""

    wall: float
    cpu: float


def run(config: Config, state: State, console: Console, image: containers.Image | None = None) -> int:
    """Runs the pipeline and prints what came of it.

    Args:
        config: The config of the run.
        state: The state folder.
        console: Where to print.
        image: Image of the containers that steps run in; None for processes.

    Returns:
        The exit code.

    Raises:
        FinestError: A step failed.
    """
    folder, spent = carry_out(config, state, console, image)
    return _report(config, folder, spent, console)


def carry_out(
    config: Config, state: State, console: Console, image: containers.Image | None = None, searches: bool = False
) -> tuple[Path, RunCost]:
    """Runs a pipeline to its end, and returns the run's folder and what it took.

    Args:
        config: The config of the run.
        state: The state folder.
        console: Where to print.
        image: Image of the containers that steps run in; None for processes.
        searches: Whether it is the pipeline of a search.

    Raises:
        FinestError: A step failed.
    """
    os.environ |= config.steps.environment()
    hide_variable(config.notify.webhook_variable)
    with state.locked():
        if image:
            containers.remove(state.root)  # of runs that were killed: one that holds this state's lock has none yet
        state.clear()
        began = time.time()
        folder = state.new_run()
        if image:
            config = containers.prepare(config, state, folder, image.user)
            say(console, f"Image {', '.join(filter(None, [image.name, containers.note(image)]))}")
        (folder / configs.FILE).write_text(configs.dump(config))
        said = f"Run {folder.name} of line {config.line}, log in {folder / 'kfp.log'}"
        say(console, said)
        try:
            failure, spent = _follow(config.line, folder, state, console, image, searches)
            keep(folder)
        finally:
            state.clear()
        if failure:
            raise StepError(failure, folder / "kfp.log")
        _tidy(config, state, began, console)
        return folder, spent


def _tidy(config: Config, state: State, began: float, console: Console) -> None:
    """Removes what may go once a run has ended well: runs of the past, and databases from before an upgrade."""
    for old in replaced(file) if (file := file_of(uri())) else ():
        if old.stat().st_ctime < began:
            old.unlink()
    try:
        gone = retain(state, config.retention)
    except FinestError as error:  # what the run has made is whole all the same
        say(console, f"warning  nothing was removed of runs of the past: {error}")
        return
    if gone:
        say(
            console,
            f"Removed  {counted(len(gone), 'run')} of the past (retention.keep_runs: {config.retention.keep_runs})",
        )


class StepError(FinestError):
    """A step has failed, and the run with it."""

    def __init__(self, failure: events.Event, log: Path):
        super().__init__(f"{failure.step}: {failure.text.removeprefix(f'{failure.step}: ')} (log: {log})")
        self.exit_code = failure.exit_code


def _follow(
    line: str, folder: Path, state: State, console: Console, image: containers.Image | None, searches: bool
) -> tuple[events.Event | None, RunCost]:
    """Starts the pipeline's process and shows its steps until it ends. Returns the first failure, if any."""
    began, cpu_began = time.monotonic(), cpu_seconds()
    killed = None if image else killed_here()  # an engine may be another machine's
    file = folder / "events.jsonl"
    os.environ |= {
        "KFP_RUN_ID": folder.name,
        events.VARIABLE: str(file),
        orphan.VARIABLE: str(os.getpid()),
        "PYTHONSAFEPATH": "1",  # a folder of the user's that is called pipeline or storage is not taken for ours
    }
    container = [image.name, image.memory] if image else ["", ""]
    which = "search" if searches else "retrain"
    command = [sys.executable, "-m", "pipeline.kfp_process", which, str(folder), str(state.root), *container]
    failure, offset, running, cpu = None, 0, {}, 0.0
    with (folder / "kfp.log").open("wb") as log, temporary(folder) as scratch, signals_interrupt():
        # A container has a /tmp of its own, which is this folder.
        environment = os.environ | ({} if image else dict.fromkeys(("TMPDIR", "TEMP", "TMP"), scratch))
        # A session of its own: Ctrl-C reaches this process alone, which then ends the steps in order.
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        )
        try:
            with renderer(console) as screen:
                while True:
                    code = child.poll()
                    found, offset = events.read(file, offset)
                    for event in found:
                        screen.show(event)
                        failure = failure or (event if event.kind == "failure" else None)
                        running[title(event)] = event
                        cpu += event.cpu
                    if code is not None:
                        break
                    time.sleep(POLL_SECONDS)
        except BaseException as error:
            _end(child)
            _end_containers(state, folder, image)
            _close(line, "KILLED")
            if isinstance(error, KeyboardInterrupt):
                raise CancelledError(
                    "interrupted; the same command goes on from the last finished epoch of every training"
                ) from None
            raise
    _end_containers(state, folder, image)
    # A container's time is not in that of our child processes.
    spent = RunCost(time.monotonic() - began, cpu_seconds() - cpu_began + (cpu if image else 0.0))
    if silent := _silent(running.values(), failure, bool(code), without_a_word(killed, killed_here())):
        _end(child)
        _close(line, "FAILED")
        failure = silent
    return failure, spent


def without_a_word(killed: int | None, since: int | None) -> str:
    """Says how a step has ended that says nothing more.

    Args:
        killed: How many processes of this machine the kernel had killed for want of memory before; None: unknown.
        since: Likewise by now.
    """
    if killed is None or since is None:
        return "ended without a word, most often killed for want of memory"
    if since > killed:
        return "ended without a word, most likely killed for want of memory, as the kernel has done meanwhile"
    return "ended without a word: killed, or crashed; the kernel has killed nothing for want of memory meanwhile"


def _silent(
    last: Iterable[events.Event], failure: events.Event | None, broke_off: bool, how: str
) -> events.Event | None:
    """Returns a failure that no step has told of.

    A killed step says nothing more, and the next one then lacks its outputs; where it was the last, kfp sees none.

    Args:
        last: The last event of every step.
        failure: The first failure that a step has told of, if any.
        broke_off: Whether the pipeline's process says that the run has failed.
        how: How a step has ended that says nothing more.

    Returns:
        The failure that came before it, or instead of it; None where the one that was told of came first.
    """
    cut_off = min(
        (event for event in last if event.kind in ("start", "progress", "notice")),
        key=lambda event: event.time,
        default=None,
    )
    if failure and not (cut_off and cut_off.time < failure.time):
        return None
    if not (cut_off or broke_off):
        return None
    text = how if cut_off else "the pipeline's process broke off"
    return events.Event(kind="failure", step=cut_off.step if cut_off else "run", time=time.time(), text=text)


def _end_containers(state: State, folder: Path, image: containers.Image | None) -> None:
    """Ends what a broken-off run has left in the engine; nothing after one that ended by itself."""
    if image:
        with contextlib.suppress(FinestError):  # an engine that is gone runs nothing
            containers.remove(state.root, folder.name)


@contextlib.contextmanager
def signals_interrupt() -> Iterator[None]:
    """Makes SIGTERM and SIGHUP end a run as Ctrl-C does.

    What the caller ignores, as `nohup` does SIGHUP, stays ignored.
    """

    def interrupt(number: int, frame: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt

    heard = (number for number in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(number) is not signal.SIG_IGN)
    before = {number: signal.signal(number, interrupt) for number in heard}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _end(child: subprocess.Popen[bytes]) -> None:
    """Ends the process and all of its steps: asks first, so that they close what they have open."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if not _signal(child, number):
            return
        deadline = time.monotonic() + GRACE_SECONDS
        while time.monotonic() < deadline and _signal(child, 0):
            time.sleep(POLL_SECONDS)


def _signal(child: subprocess.Popen[bytes], number: int) -> bool:
    """Sends the signal to the run's processes. Returns whether any was there to get it."""
    child.poll()
    try:
        os.killpg(child.pid, number)
    except ProcessLookupError:
        return False
    return True


def _close(line: str, status: str) -> None:
    """Ends the MLflow run that the pipeline's own exit handler could not end, if preflight has opened one."""
    with contextlib.suppress(FinestError):
        check(line)
        close_parent(status)  # type: ignore[arg-type]


def _report(config: Config, folder: Path, spent: RunCost, console: Console) -> int:
    """Prints the verdict and where everything is. What came of the run is MLflow's word, not KFP's."""
    name = config.line
    found = outcome(folder.name, name)
    close_left_open("FAILED" if found.failed_step else "FINISHED")
    if found.verdict is None or found.failed_step:
        why = f"{found.failed_step or 'no step'} failed: {found.error}"
        raise FinestError(f"the run has no verdict ({why}); log: {folder / 'kfp.log'}")
    verdict = read_verdict(folder / "verdict.json")
    show(console, verdict)
    trainings = (
        f"; {verdict.cost['trainings']} trainings took {verdict.cost['trainings_cpu_seconds']:.0f} CPU s"
        if verdict.cost
        else ""
    )
    lines = [
        f"Time     {duration(spent.wall)} wall, {spent.cpu:.0f} CPU s{trainings}",
        f"Report   {folder / 'report.html'}",
    ]
    if not links.served():
        command = [f"{Path(sys.executable).parent}/mlflow", "ui", "--backend-store-uri", masked(uri())]
        lines.append(f"Start    {shlex.join(command)}")
    lines += [f"MLflow   {links.run(folder.name)}", f"All runs {links.table(name)}"]
    if (numbers := folder / FOLDER / NUMBERS).exists():
        (folder / PAGE).write_text(page(events.costs(folder / "events.jsonl"), json.loads(numbers.read_text())))
        log_file(folder / PAGE)
        lines.append(f"Profile  {folder / PAGE}")
    code = EXIT_CODES[verdict.verdict]
    if (asked := unapproved(name, found)) is not None:
        said, code = asked
        lines.append(said)
    elif verdict.verdict == "pass":
        if found.promoted_version is None:
            raise FinestError(
                f"the gate passed, but the champion of {name} is not this run's model; see {folder / 'kfp.log'}"
            )
        lines.append(f"Promoted {name} version {found.promoted_version} is the champion")
    else:
        lines.append(f"{NOT_PROMOTED[verdict.verdict]}  {unchanged(name)}")
    for line in lines:
        say(console, line)
    return code
