"""The command `finest recommend`: files of a line's champion's lists, for all users or for some."""

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import filelock
import typer
from rich.console import Console
from rich.progress import Progress

from finest.durations import duration
from finest.errors import ConfigError, FinestError
from finest.peak import GIB
from finest.plural import counted
from pipeline import config as configs
from pipeline import state as states
from pipeline.dataset import ingested
from pipeline.options import AsOf, ConfigFile, Name, Sets, StateFolder, console, examples, settings
from pipeline.plain import say
from pipeline.state import State

if TYPE_CHECKING:
    from finest.serving.batch import Batch

LINE_SECONDS = 30
"""Time between two lines on how far it is, where the output is no terminal."""


def register(app: typer.Typer) -> None:
    """Adds the command to an app."""
    lines = (
        "finest recommend --out lists",
        "finest recommend --source clicks.csv --out s3://bucket/lists/clicks --k 20",
        "finest recommend --out lists --users tonight.txt",
    )
    app.command(epilog=examples(*lines))(recommend)


def recommend(
    out: Annotated[
        str | None, typer.Option(help="Folder or URI for the lists, of this line alone; recommend.out.")
    ] = None,
    users: Annotated[
        Path | None,
        typer.Option(help="Only these: a file with an id a line, or .parquet or .csv with the column user_id."),
    ] = None,
    k: Annotated[int | None, typer.Option(help="Number of items in a list; recommend.k.")] = None,
    processes: Annotated[int | None, typer.Option(help="Number of processes; recommend.processes.")] = None,
    source: Annotated[str | None, typer.Option(help="Interactions: a file, a folder, or the sample ml-100k.")] = None,
    data: Annotated[
        Path | None, typer.Option(help="Folder that ingest wrote, in the place of a source that is read anew.")
    ] = None,
    name: Name = None,
    as_of: AsOf = None,
    config: ConfigFile = None,
    sets: Sets = None,
    state: StateFolder = None,
) -> None:
    """Write the champion's lists for all users, from all that is known of them, to Parquet files.

    The pointer current.json moves to them last. Given again after it was killed, it goes on with the files that are
    missing; where all is there, it does nothing.
    """
    if data and source:
        raise ConfigError("--source is read anew, and --data is what was read: give one of the two")
    here = states.existing(state)
    own = {"recommend.out": out, "recommend.k": k, "recommend.processes": processes}
    given = settings(sets, **own, name=name, source=source, as_of=as_of)
    loaded = configs.load(config or configs.QUICKSTART, given)
    if not loaded.recommend.out:
        raise ConfigError("no place for the lists is given; name a folder or s3://BUCKET/PREFIX with --out")
    from components.recommend import work
    from components.step import cpu_seconds

    printed = console()
    champion = work.champion_of(loaded.line, loaded.recommend, some=users is not None)
    with _own_folder(here, loaded.line) as folder, tempfile.TemporaryDirectory(dir=folder) as scratch:
        read = data or ingested(loaded, folder, printed)
        began = time.monotonic()
        with _shown(printed) as report:
            batch = work.recommend(champion, read, loaded.recommend, loaded.promote, Path(scratch), report, users)
    _say(printed, loaded.recommend.out, batch, time.monotonic() - began, cpu_seconds())


@contextmanager
def _own_folder(state: State, line: str) -> Iterator[Path]:
    """Yields the line's folder for the command, without what a killed one has left there; one command has it at a time.

    Raises FinestError where another one has it.
    """
    folder = state.root / "recommend" / line
    folder.mkdir(parents=True, exist_ok=True)
    try:
        lock = filelock.FileLock(folder / "lock").acquire(blocking=False)
    except filelock.Timeout:
        raise FinestError(
            f"{folder}: another `finest recommend` of the line {line} is at work; wait for it, or use another folder "
            "with --state"
        ) from None
    with lock:
        for left in folder.glob("tmp*"):
            shutil.rmtree(left)
        yield folder


@contextmanager
def _shown(console: Console) -> Iterator[Callable[[int, int], None]]:
    """Yields what shows how many lists are there, of how many: a bar on a terminal, a line now and then elsewhere."""
    if console.is_terminal:
        with Progress(console=console) as bars:
            bar, first = bars.add_task("Lists", total=None), True

            def draw(there: int, of: int) -> None:
                nonlocal first
                if first:  # what was there is no pace
                    bars.reset(bar, total=of, completed=there)
                    first = False
                else:
                    bars.update(bar, completed=there)

            yield draw
        return
    said = time.monotonic()

    def line(there: int, of: int) -> None:
        nonlocal said
        if time.monotonic() - said >= LINE_SECONDS:
            said = time.monotonic()
            say(console, f"{there:,} of {of:,} lists ({there / of:.0%})")

    yield line


def _say(console: Console, out: str, batch: "Batch", wall: float, cpu: float) -> None:
    manifest, of = batch.manifest, batch.manifest.of
    unknown = f", {manifest.unknown_users:,} of them unknown, with empty lists" if manifest.unknown_users else ""
    files = counted(len(manifest.files), "file")
    made = "" if batch.made == len(manifest.files) else f", {len(manifest.files) - batch.made} of which were there"
    lines: list[Any] = [
        f"Lists    {of.line} version {of.version}, the best {of.k} for {manifest.users:,} users{unknown}",
        f"Files    {files}{made}, in {out.rstrip('/')}/{batch.folder}",
    ]
    if batch.made:
        speed = (
            f"{batch.made_rows / batch.seconds:,.0f} lists a second; at most {batch.peak_bytes / GIB:.2f} GiB of memory"
        )
        lines.append(f"Time     {duration(wall)} wall, {cpu:.0f} CPU s; {speed}")
    elif not batch.moved:
        lines.append("Nothing  was to be done: all files are there as they were written")
    lines.append(f"Pointer  {out.rstrip('/')}/current.json{'' if batch.moved else ', as it was'}")
    for one in lines:
        say(console, one)
