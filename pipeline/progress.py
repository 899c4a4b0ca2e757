"""Shows a run on the terminal: a line for every step, with its progress and the time left."""

from collections.abc import Callable
from typing import assert_never

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, Task, TaskID, TextColumn
from rich.text import Text

from components.events import Event
from components.pace import Pace
from finest.durations import duration
from finest.peak import GIB
from pipeline.plain import say, shown
from pipeline.policy import POLICIES

PLAIN_SECONDS = 20.0
"""Least time between two lines about one step where the output is not a terminal."""

WITH_BAR = 100
"""Number of characters of a terminal's line that has room for a bar beside what it says."""


def title(event: Event) -> str:
    """Returns a step's title, with its group where it has one."""
    name = POLICIES[event.step].title
    return name if event.group is None else f"{name}, group {event.group}"


def said(event: Event, pace: Pace) -> str:
    """Returns how far a step is, and how long it goes on at its pace where that is known."""
    left = pace.left(event.time, event.done, event.resumed)
    parts = [f"{event.done:.0%}", event.text, "" if left is None else f"about {duration(left)} left"]
    return ", ".join(part for part in parts if part)


def ended(event: Event, started: float) -> str:
    """Returns how a step ended, and what it took."""
    how, took = "done" if event.kind == "finish" else "failed", duration(event.time - started)
    return f"{how} in {took} ({event.cpu:.1f} CPU s, {event.peak_bytes / GIB:.2f} GiB)"


class Plain:
    """Writes lines for a log file: when a step starts and ends, and now and then between."""

    def __init__(self, write: Callable[[str], None]):
        self.write = write
        self.started: dict[str, float] = {}
        self.shown: dict[str, float] = {}
        self.paces: dict[str, Pace] = {}

    def __enter__(self) -> "Plain":
        return self

    def __exit__(self, *exception: object) -> None:
        pass

    def show(self, event: Event) -> None:
        """Prints what is worth a line."""
        name = title(event)
        if event.kind == "start":
            self.started[name] = self.shown[name] = event.time
            self.paces[name] = Pace()
            self.write(f"{name}: started")
        elif event.kind == "progress":
            text = said(event, self.paces[name])
            if event.time - self.shown[name] >= PLAIN_SECONDS:
                self.shown[name] = event.time
                self.write(f"{name}: {text}")
        elif event.kind == "notice":
            self.write(f"{name}: {event.text}")
        elif event.kind == "finish" or event.kind == "failure":
            self.write(f"{name}: {ended(event, self.started[name])}")
        else:
            assert_never(event.kind)


class Live:
    """Shows a bar for every step, redrawn in place."""

    def __init__(self, console: Console):
        bar = [_Bar()] if console.width >= WITH_BAR else []
        self.progress = Progress(
            SpinnerColumn(finished_text="[green]+[/]"),
            TextColumn("{task.description:<28}", markup=False),
            *bar,
            _Said(),
            console=console,
        )
        self.started: dict[str, float] = {}
        self.paces: dict[str, Pace] = {}
        self.tasks: dict[str, TaskID] = {}

    def __enter__(self) -> "Live":
        self.progress.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.progress.stop()

    def show(self, event: Event) -> None:
        """Adds or updates the step's bar."""
        name = title(event)
        if event.kind == "start":
            self.started[name], self.paces[name] = event.time, Pace()
            self.tasks[name] = self.progress.add_task(name, total=1.0, text="", style="")
            return
        task, started = self.tasks[name], self.started[name]
        if event.kind == "progress":
            self.progress.update(task, completed=event.done, text=said(event, self.paces[name]))
        elif event.kind == "notice":
            say(self.progress.console, f"{name}: {event.text}")
        elif event.kind == "finish":
            self.progress.update(task, completed=1.0, text=ended(event, started))
        elif event.kind == "failure":
            self.progress.update(task, text=ended(event, started), style="red")
            self.progress.stop_task(task)
        else:
            assert_never(event.kind)


class _Said(ProgressColumn):
    """Shows what a step says of itself, as text."""

    def render(self, task: Task) -> Text:
        return Text(shown(task.fields["text"]), style=task.fields["style"])


class _Bar(ProgressColumn):
    """Draws a bar where the step tells how far it is; else the spinner stands alone."""

    def __init__(self) -> None:
        super().__init__()
        self.bar = BarColumn(bar_width=20)

    def render(self, task: Task) -> object:  # type: ignore[override]
        return self.bar.render(task) if task.completed > 0 else Text(" " * 20)


def renderer(console: Console) -> Plain | Live:
    """Returns what shows a run's events: bars on a terminal, lines elsewhere."""
    return Live(console) if console.is_terminal else Plain(lambda line: say(console, line))
