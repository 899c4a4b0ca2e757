"""The commands `finest state ...`: whether a state is sound, what takes its room, and what can be mended."""

import shlex
from pathlib import Path
from typing import NamedTuple

import typer

from finest.errors import FinestError
from pipeline import state as states
from pipeline.options import Json, StateFolder, console, examples, print_json
from pipeline.plain import say
from pipeline.runs import amount
from pipeline.state import BusyError, State

app = typer.Typer(
    help="The state folder: whether it is sound, what takes its room, and what can be mended.",
    no_args_is_help=True,
    epilog=examples("finest state check", "finest state repair"),
)


class Found(NamedTuple):
    """Holds what was found in a state."""

    problems: list[str]
    left: list[Path]
    """What killed runs have left."""
    busy: str
    """Why leftovers were not looked for; empty where they were."""
    bytes: dict[str, int]


@app.command(epilog=examples("finest state check", "finest state check --state /data/state --json"))
def check(state: StateFolder = None, as_json: Json = False) -> None:
    """Look for damage, for what is missing, and for what killed runs have left; changes nothing.

    Exit codes: 0 sound; 1 something is damaged or missing.
    """
    here = states.existing(state)
    found = _look(here)
    if as_json:
        left = [str(path) for path in found.left]
        print_json({"state": str(here.root), "problems": found.problems, "left": left, "bytes": found.bytes})
    else:
        _show(here, found)
    if found.problems:
        raise typer.Exit(1)


def _look(here: State) -> Found:
    from tracking import health
    from tracking.retained import retained

    problems, left, busy = [], list[Path](), ""
    if broken := health.database():
        problems.append(broken)
    else:
        try:
            problems += health.missing(retained())
        except FinestError as error:
            problems.append(str(error))
    try:
        with here.locked():
            left = [*here.left(), *health.probes()]
    except BusyError as error:
        busy = str(error)
    return Found(problems, left, busy, _bytes(here))


def _bytes(here: State) -> dict[str, int]:
    mlflow = here.root / "mlflow"
    models = sum(map(states.size, (mlflow / "artifacts").glob("models/")))
    kinds = {
        "runs": states.size(here.root / "runs"),
        "checkpoints": states.size(here.checkpoints),
        "mlflow models": models,
        "mlflow runs": states.size(mlflow / "artifacts") - models,
        "mlflow database": sum(map(states.size, mlflow.glob("mlflow.db*"))),
    }
    return {**kinds, "all": states.size(here.root)}


def _show(here: State, found: Found) -> None:
    out = console()
    for problem in found.problems:
        say(out, f"wrong    {problem}")
    for path in found.left:
        say(out, f"left     {path}, {amount(states.size(path))}")
    if found.left:
        say(out, f"remove   {shlex.join(['finest', 'state', 'repair', '--state', str(here.root)])}")
    if found.busy:
        say(out, f"busy     {found.busy}")
    for kind, count in found.bytes.items():
        say(out, f"{amount(count):>8} {kind}")
    say(out, f"{here.root}: {f'{len(found.problems)} problems' if found.problems else 'sound'}")


@app.command(epilog=examples("finest state repair"))
def repair(state: StateFolder = None) -> None:
    """Remove what killed runs have left, end their runs in MLflow, and give room in the database back.

    What is damaged or missing stays so: `finest state check` names it.
    """
    here = states.existing(state)
    from tracking import closing, health
    from tracking.answer import asked
    from tracking.store import connect

    with here.locked():
        if broken := health.database():
            raise FinestError(f"{broken}; put a backup in its place: nothing was changed")
        asked(connect)
        closed = closing.close_dead(lambda tags: tags.get("place", "").endswith(f":{here.root}"))
        taken = here.clear() + sum(map(states.size, health.probes()))
        health.mend()
    print(f"{here.root}: {amount(taken)} of leftovers removed, {len(closed)} runs ended in MLflow that were killed")
