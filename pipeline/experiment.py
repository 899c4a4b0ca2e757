"""The command `finest experiment`: measures a grid of cells on this machine, or compiles its pipeline for a cluster."""

import hashlib
import logging
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from components.pace import Pace
from finest.durations import duration
from finest.errors import ConfigError
from pipeline import config as configs
from pipeline import state as states
from pipeline.config import Config
from pipeline.ending import CancelledError
from pipeline.options import (
    AsOf,
    ConfigFile,
    Json,
    Name,
    Sets,
    StateFolder,
    console,
    examples,
    open_folder,
    print_json,
    settings,
)
from pipeline.plain import say
from pipeline.state import State

if TYPE_CHECKING:
    from finest.experiments.record import Given
    from finest.experiments.run import Heard, Outcome

LINE_SECONDS = 20.0
"""Time between two lines on how far it is, where the output is no terminal."""
LOG = "experiment.log"
"""Name of the file with what trainings log, and with the tracebacks of broken cells."""

Which = Annotated[
    str, typer.Argument(metavar="NAME", help="ablation, intensity, baselines, overhead, seeds or cold-start.")
]


def register(app: typer.Typer) -> None:
    """Adds the command to an app."""
    lines = (
        "finest experiment ablation --source clicks.csv",
        "finest experiment seeds --seeds 5 --json",
        "finest experiment baselines --compile baselines.yaml --image registry.example/finest@sha256:...",
    )
    app.command(epilog=examples(*lines))(experiment)


def experiment(
    which: Which,
    config: ConfigFile = None,
    source: Annotated[str | None, typer.Option(help="Interactions: a file, a folder, or the sample ml-100k.")] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Number of seeds, from the config's on.")] = 3,
    only: Annotated[
        list[str] | None, typer.Option(help="Only cells with this text in their name. May be repeated.")
    ] = None,
    name: Name = None,
    as_of: AsOf = None,
    sets: Sets = None,
    state: StateFolder = None,
    output: Annotated[
        Path | None, typer.Option(help="Folder for table.md, table.csv and plot.svg, besides the state folder.")
    ] = None,
    compile_: Annotated[
        Path | None, typer.Option("--compile", help="Measure nothing: write a pipeline with a pod a cell to this file.")
    ] = None,
    image: Annotated[str | None, typer.Option(help="With --compile: image of the steps, REPOSITORY@sha256:...")] = None,
    as_json: Json = False,
) -> None:
    """Measure a grid of trainings and put them in a table, with 95% intervals over seeds and with costs.

    An experiment that was stopped goes on when the same command is given again: no cell that is finished is measured
    again. A cell that is broken does not end the others; the exit code is then 1.
    """
    given = settings(sets, name=name, source=source, as_of=as_of)
    loaded = configs.load(config or configs.QUICKSTART, given)
    from finest.experiments.registry import EXPERIMENTS

    EXPERIMENTS[which]  # an unknown name is an error before anything is read
    if compile_:
        if only and len(only) > 1:
            raise ConfigError("--only can be given once with --compile")
        _compile(loaded, which, seeds, (only or [""])[0], compile_, image)
        return
    if image:
        raise ConfigError("--image is for --compile; cells are measured in this environment")
    open_folder(output)
    here = states.use(state)
    os.environ |= loaded.steps.environment()
    out = Console(quiet=True) if as_json else console()
    with here.locked():
        _measure(loaded, which, seeds, only or [], here, output, out, as_json)


def _compile(config: Config, which: str, seeds: int, only: str, file: Path, image: str | None) -> None:
    from components.image import IMAGE
    from finest.experiments.run import chosen
    from pipeline.compile import write
    from pipeline.grid import build
    from pipeline.policy import Cluster

    chosen(which, taken(config, seeds), [only] if only else [])
    write(build(config, image or IMAGE, which, seeds, only, Cluster()), file)
    print(f"wrote {file}")


def taken(config: Config, seeds: int) -> "Given":
    """Returns what an experiment takes from a config."""
    from finest.experiments.record import Given

    return Given(
        pretrain=config.pretrain,
        finetune=config.finetune,
        perturb=config.perturb,
        max_drop=config.gate.max_accuracy_drop_base,
        seed=config.seed,
        seeds=seeds,
    )


def _measure(
    config: Config,
    which: str,
    seeds: int,
    only: list[str],
    state: State,
    output: Path | None,
    out: Console,
    as_json: bool,
) -> None:
    from components.perturb.work import resolved, tables
    from components.step import cpu_seconds
    from finest.data.dataset import load
    from finest.experiments import pages
    from finest.experiments.run import planned, run
    from finest.experiments.table import as_json as plain
    from finest.experiments.table import sentences, table
    from pipeline.dataset import ingested
    from pipeline.local import signals_interrupt
    from storage import checkpoint_store
    from tracking import cells, links
    from tracking.closing import close_parent
    from tracking.describe import code_tags

    began, cpu_began = time.monotonic(), cpu_seconds()
    folder = state.root / "experiments" / config.line
    folder.mkdir(parents=True, exist_ok=True)
    given = taken(config.model_copy(update={"perturb": resolved(config.perturb)}), seeds)
    data, found = ingested(config, folder, out), folder / which
    store = checkpoint_store(config.checkpoints or folder)
    keys = sorted(planned(which, given, load(data).manifest, only))
    id = f"experiment-{hashlib.sha256(''.join(keys).encode()).hexdigest()[:16]}"
    plain_config = config.model_dump(mode="json")
    parent = cells.opened(id, which, plain_config, line=config.line, source=config.source, seed=config.seed)
    log, commit = cells.Cells(parent), code_tags()["git_commit"]
    records: list[Any] = []
    status = "KILLED"
    try:
        with signals_interrupt(), _logged(found / LOG), _shown(out) as show:

            def hear(heard: "Heard") -> None:
                show(heard)
                if heard.record:
                    records.append(heard.record)
                    log.add(heard.record)
                    if heard.done > heard.known:
                        pages.write(which, records, config.source, commit, found)

            outcome = run(which, given, data, store, hear, only, tables(given.perturb))
        page = pages.write(which, outcome.records, config.source, commit, found)
        log.end(which, _files(found, found / "files"), page, len(outcome.broken))
        status = "FAILED" if outcome.broken else "FINISHED"
    except KeyboardInterrupt:
        raise CancelledError("interrupted; the same command goes on with the cells that are not finished") from None
    except Exception:
        status = "FAILED"
        raise
    finally:
        close_parent(status)  # type: ignore[arg-type]
    if output:
        _files(found, output)
    made = table(which, outcome.records)
    if as_json:
        print_json(
            {**plain(made), "files": {name: str(found / name) for name in (pages.PAGE, pages.TABLE, pages.PLOT)}}
        )
    else:
        for line in (
            *(sentence.replace("**", "") for sentence in sentences(made)),
            f"Cells    {_count(outcome)}",
            f"Time     {duration(time.monotonic() - began)} wall, {cpu_seconds() - cpu_began:.0f} CPU s",
            f"Table    {(output or found) / pages.PAGE}",
            f"CSV      {(output or found) / pages.TABLE}",
            f"Plot     {(output or found) / pages.PLOT}",
            f"MLflow   {links.run(id)}",
        ):
            say(out, line)
    outcome.check()


def _count(outcome: "Outcome") -> str:
    states_of = [one.state for one in outcome.records]
    return ", ".join(f"{states_of.count(state)} {state}" for state in dict.fromkeys(["finished", *states_of]))


def _files(found: Path, to: Path) -> Path:
    """Copies table and plot to a folder, and returns it."""
    from finest.experiments import pages

    to.mkdir(parents=True, exist_ok=True)
    for name in (pages.PAGE, pages.TABLE, pages.PLOT):
        shutil.copyfile(found / name, to / name)
    return to


@contextmanager
def _logged(file: Path) -> Iterator[None]:
    """Writes what is logged to a file, and nothing of it to the terminal."""
    file.parent.mkdir(parents=True, exist_ok=True)
    handler, root = logging.FileHandler(file, encoding="utf-8", errors="backslashreplace"), logging.getLogger()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    before, level = root.handlers, root.level
    root.handlers = [handler]
    root.setLevel(logging.INFO)
    try:
        yield
    finally:
        root.handlers = before
        root.setLevel(level)
        handler.close()


@contextmanager
def _shown(out: Console) -> Iterator[Any]:
    """Yields what shows how far it is and about how long it goes on: in place on a terminal, in lines elsewhere."""
    pace, said = Pace(), 0.0

    def text(heard: "Heard") -> str:
        resumed = heard.record is not None and heard.done <= heard.known
        left = pace.left(time.monotonic(), heard.done / heard.of, resumed)
        known = f" ({heard.known} were there)" if heard.known else ""
        parts = [f"{heard.done} of {heard.of} cells{known}", heard.text]
        return ", ".join([*parts, *([] if left is None else [f"about {duration(left)} left"])])

    def over(heard: "Heard") -> None:
        record = heard.record
        if record and record.state != "finished":
            say(out, f"{record.cell.name}: {record.state}: {record.reason}")

    if out.is_terminal:
        with out.status("Measuring") as status:

            def draw(heard: "Heard") -> None:
                over(heard)
                status.update(text(heard))

            yield draw
        return

    def line(heard: "Heard") -> None:
        nonlocal said
        over(heard)
        words = text(heard)
        new = heard.record is not None and heard.done > heard.known
        if new or time.monotonic() - said >= LINE_SECONDS:
            said = time.monotonic()
            say(out, words)

    yield line
