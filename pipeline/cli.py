"""The command line. Errors are one line on stderr.

Exit codes: 0 promoted, passed or skipped; 3 refused by the gate; 4 cancelled; 5 awaiting approval; 2 usage or
config; 1 anything else.
"""

import shlex
import sys
import traceback
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal, assert_never

import typer

from components.sections import parse
from finest import __version__
from finest.causes import shortage
from finest.errors import DISK_FULL, BrokenGateError, ConfigError, FinestError, one_line
from finest.secrets import guarded, masked
from pipeline import check, config_commands, experiment, models, recommend, runs, state_commands, tune
from pipeline import config as configs
from pipeline import state as states
from pipeline.cluster.commands import register
from pipeline.ending import CANCELLED, EXIT_CODES
from pipeline.options import (
    AsOf,
    ConfigFile,
    Json,
    Name,
    Rebase,
    Sets,
    StateFolder,
    console,
    examples,
    settings,
    switch,
)
from pipeline.plain import shown

# Heavy imports stand in the commands that need them: a mistyped option must not wait for torch.

app = typer.Typer(
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    epilog=examples("finest run", "finest run --source clicks.csv", "finest config show"),
)
app.add_typer(models.app, name="models")
app.add_typer(runs.app, name="runs")
app.add_typer(state_commands.app, name="state")
app.add_typer(config_commands.app, name="config")


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"finest {__version__}")
        raise typer.Exit()


INTERRUPTED = 130
"""What typer makes of Ctrl-C in a command that does not hear it itself."""
CLICK_ERROR: Any = typer.BadParameter.__mro__[2]
"""The base of all usage errors. typer has its own copy of click and exports only the leaves."""


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Retrain a sequential recommender without shuffling what users see, and promote it only if that is proven."""


@app.command(
    epilog=examples(
        "finest run",
        "finest run --source clicks.csv --set ingest.columns.user=uid --set ingest.columns.item=sku",
        "finest run --config nightly --source s3://bucket/interactions --as-of 2026-11-24",
    )
)
def run(
    config: ConfigFile = None,
    source: Annotated[str | None, typer.Option(help="Interactions: a file, a folder, or the sample ml-100k.")] = None,
    name: Name = None,
    as_of: AsOf = None,
    rebase: Rebase = False,
    sets: Sets = None,
    state: StateFolder = None,
    runner: Annotated[
        Literal["subprocess", "docker"], typer.Option(help="Steps in processes, or in containers.")
    ] = "subprocess",
    profile: Annotated[
        bool, typer.Option("--profile", help="Write where the run's time went, with traces of its trainings.")
    ] = False,
    image: Annotated[
        str | None, typer.Option(help="Of the containers; what `make images` has built if not given.")
    ] = None,
    memory: Annotated[str, typer.Option(help="Most that a step's container may have, like 3Gi.")] = "",
) -> None:
    """Run the whole pipeline on this machine: train, perturb, fine-tune, judge, promote or reject.

    Exit codes: 0 promoted, passed or skipped; 3 refused by the gate; 4 cancelled (Ctrl-C); 5 passed and awaiting
    approval; 2 usage or config; 1 anything else.
    """
    for option, value in (("--image", image), ("--memory", memory)):
        if value and runner != "docker":
            raise typer.BadParameter("only steps in containers have one: add --runner docker", param_hint=option)
    here = states.use(state)
    given = settings(sets, name=name, source=source, as_of=as_of, rebase=switch(rebase), profile=switch(profile))
    loaded = configs.load(config or configs.QUICKSTART, given)
    from pipeline import containers, local

    found = None
    if runner == "docker":
        found = containers.find(image, memory)
    elif runner != "subprocess":
        assert_never(runner)
    raise typer.Exit(local.run(loaded, here, console(), found))


@app.command(epilog=examples("finest gate --lists lists --report report.html", "finest gate --lists lists --json"))
def gate(
    lists: Annotated[Path, typer.Option(help="Folder of rank lists, from any trainer.")],
    data: Annotated[
        Path | None, typer.Option(help="Folder that ingest wrote, for popularity and the data's age.")
    ] = None,
    history: Annotated[
        Path | None,
        typer.Option(help="Past nights of the line, oldest first: a JSON list of what verdict.json has as `night`."),
    ] = None,
    config: ConfigFile = None,
    sets: Sets = None,
    report: Annotated[Path | None, typer.Option(help="Write the report (HTML) to this file.")] = None,
    output: Annotated[Path | None, typer.Option(help="Write the verdict (JSON) to this file.")] = None,
    as_json: Json = False,
) -> None:
    """Judge rank lists that any trainer made. Their roles are in the files' metadata.

    Exit codes: 0 passed; 3 refused; 2 usage or config; 1 anything else, such as a gate that fails its own test.
    """
    loaded = configs.load(config or configs.QUICKSTART, sets or [])
    from finest.gate import verdict_file
    from finest.gate.history import read_history
    from finest.gate.judge import judge
    from finest.report.report import render
    from pipeline.table import show

    for folder in [lists, *([data] if data else [])]:
        if not folder.is_dir():
            raise ConfigError(f"{folder}: there is no such folder")
    nights = read_history(history) if history else []
    verdict = judge([lists], loaded.gate, data=data, as_of=datetime.now(UTC), history=nights)
    if output:
        verdict_file.write_verdict(verdict, output)
    if report:
        report.parent.mkdir(parents=True, exist_ok=True)
        render(verdict, {}, report, f"Rank lists in {lists}")
    if as_json:
        print(verdict_file.as_json(verdict))
    else:
        show(console(), verdict)
    if verdict.verdict == "broken":
        raise BrokenGateError(verdict.reason)
    raise typer.Exit(EXIT_CODES[verdict.verdict])


@app.command(
    name="compile",
    epilog=examples(
        "finest compile",
        "finest compile --config mine.yaml --image registry.example/finest@sha256:... --cluster s3_secret=finest-s3",
    ),
)
def compile_(
    output: Annotated[Path, typer.Option(help="Where to write it.")] = Path("pipeline.yaml"),
    image: Annotated[str | None, typer.Option(help="Image of the steps, by digest: REPOSITORY@sha256:...")] = None,
    queue: Annotated[str | None, typer.Option(help="Kueue's local queue that admits the steps.")] = None,
    constants: Annotated[
        list[str] | None, typer.Option("--cluster", help="What the cluster has: s3_secret=NAME and the like.")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="Config file (YAML) for the parameters' defaults.")] = None,
    which: Annotated[
        Literal["retrain", "search"], typer.Option("--pipeline", help="A night's, or that of `finest tune`.")
    ] = "retrain",
) -> None:
    """Compile the pipeline for a Kubeflow Pipelines backend."""
    from components.image import IMAGE
    from pipeline.compile import compile_to
    from pipeline.policy import Cluster

    if image == "":
        raise ConfigError(
            "--image is empty; give REPOSITORY@sha256:..., or leave it out for what `make images` has built"
        )
    cluster = parse(Cluster, configs.assigned(settings(constants, queue=queue), section=Cluster), "cluster")
    compile_to(output, image or IMAGE, cluster, configs.load(config) if config else None, which)
    print(f"wrote {output}")


register(app)
check.register(app)
tune.register(app)
experiment.register(app)
recommend.register(app)


def main() -> int:
    """Runs the command line, with secrets masked in all that it prints, and returns the exit code."""
    with guarded():
        return _main()


def _main() -> int:
    try:
        code = app(prog_name="finest", standalone_mode=False) or 0
        return _fail("interrupted", CANCELLED) if code == INTERRUPTED else int(code)
    except typer.Abort:  # Ctrl-C, or the end of the input, at a question
        return _fail("interrupted", CANCELLED)
    except CLICK_ERROR as error:
        return _fail(error.format_message(), 2)
    except ConfigError as error:
        return _fail(str(error), error.exit_code)
    except FinestError as error:
        _log(error)
        return _fail(str(error), error.exit_code)
    except OSError as error:
        where, what = f": {error.filename}" if error.filename else "", error.strerror or error
        full = "; free some space and run again" if error.errno in DISK_FULL else ""
        return _fail(f"{what}{where}{full}{_log(error)}", 1)
    except Exception as error:  # noqa: BLE001 - the last line of defence: a traceback is for the log, not for the terminal
        if (short := shortage(error)) and short.of == "memory":
            return _fail(f"not enough memory ({one_line(short.error)}); end what else needs it{_log(error)}", 1)
        return _fail(f"{one_line(error)}{_log(error)}", 1)


def _fail(message: str, code: int) -> int:
    if message:  # none where a command without arguments has shown its help
        print(f"error: {shown(' '.join(masked(message).split()))}", file=sys.stderr)
    return code


def _log(error: BaseException) -> str:
    """Appends the traceback to a file in the state folder; returns words that name it, none where it cannot be written.

    A state that is not there is not made for it.
    """
    from tracking.store import state_folder

    file = state_folder() / "error.log"
    try:
        with file.open("a", encoding="utf-8", errors="backslashreplace") as log:
            log.write(f"{datetime.now():%Y-%m-%d %H:%M:%S} {shlex.join(map(masked, sys.argv))}\n")
            log.write(masked("".join(traceback.format_exception(error))))
    except OSError:  # the disk that cannot take it may be the error
        return ""
    return f" (traceback in {file})"
