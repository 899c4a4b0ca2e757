"""The commands `finest runs ...`: what a state keeps of runs of the past, and what of it can go."""

from typing import Annotated, Any

import typer

from finest.errors import ConfigError
from pipeline import state as states
from pipeline.options import Json, StateFolder, confirm, console, examples, print_json
from pipeline.plain import Table, say
from pipeline.retention import Run, remove, superfluous
from pipeline.retention import runs as all_runs

app = typer.Typer(
    help="Runs of a state: what is kept of them, what it takes, and what can go.",
    no_args_is_help=True,
    epilog=examples("finest runs list", "finest runs prune --keep 30 --dry-run"),
)


@app.command(name="list", epilog=examples("finest runs list", "finest runs list --json"))
def list_(state: StateFolder = None, as_json: Json = False) -> None:
    """Show all runs of a state, newest first, with what is kept of them and the bytes that it takes."""
    found = all_runs(states.existing(state))
    if as_json:
        print_json({"runs": [_facts(run) for run in found]})
        return
    table = Table("run", "line", "started (UTC)", "verdict", "kept", title="Runs")
    table.add_column("size", justify="right")
    for run in found:
        row = (run.id, run.line, f"{run.started:%Y-%m-%d %H:%M}", run.verdict, _kept(run))
        table.add_row(*row, amount(run.folder_bytes + run.mlflow_bytes))
    out = console()
    table.show(out)
    say(out, f"{len(found)} runs, {amount(sum(run.folder_bytes + run.mlflow_bytes for run in found))}")


@app.command(
    epilog=examples(
        "finest runs prune --keep 30",
        "finest runs prune --older-than 90 --dry-run",
        "finest runs prune --keep 7 --older-than 30 --yes",
    )
)
def prune(
    keep: Annotated[int | None, typer.Option(min=0, help="Newest runs of every line that stay.")] = None,
    older_than: Annotated[
        float | None, typer.Option(min=0, max=36_500, metavar="DAYS", help="Only runs older than that.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    state: StateFolder = None,
) -> None:
    """Remove runs of the past: their folders, checkpoints that they alone used, and what MLflow keeps of them.

    Never the run of a version that an alias names, such as the champion's. What MLflow keeps of a run stays while a
    version of it is registered, since a rollback needs it; so does all that a server keeps.
    """
    if keep is None and older_than is None:
        raise ConfigError("runs prune: say what can go, with --keep N, --older-than DAYS, or both")
    here, out = states.existing(state), console()
    with here.locked():
        chosen = superfluous(all_runs(here), keep, older_than)
        for run in chosen:
            size = amount(run.folder_bytes + (run.mlflow_bytes if run.forgettable else 0))
            say(out, f"{run.id}  {run.started:%Y-%m-%d %H:%M}  {run.line or '-'}  {run.verdict}  {size}  {_goes(run)}")
        if dry_run or not chosen:
            say(out, f"{len(chosen)} runs would go" if chosen else "there is no run that can go")
            return
        confirm(f"Remove {len(chosen)} runs for good?", yes, "nothing was removed")
        taken = remove(here, chosen)
    say(out, f"{len(chosen)} runs removed, {amount(taken)}")


def amount(count: int) -> str:
    """Returns a number of bytes as people write it.

    >>> amount(999), amount(1_500_000)
    ('999 B', '1.5 MB')
    """
    if count < 1000:
        return f"{count} B"
    power = min((len(str(count)) - 1) // 3, 4)
    value = count / 1000**power
    return f"{value:.{0 if value >= 100 else 1}f} {' kMGT'[power]}B"


def _kept(run: Run) -> str:
    kept = ["folder"] * (run.folder is not None) + ["MLflow"] * (run.stored is not None)
    return ", ".join([*kept, *(f"{one}{' (in use)' if one.serves else ''}" for one in run.held)])


def _goes(run: Run) -> str:
    stays = "" if run.forgettable or not run.stored else "; stays in MLflow"
    why = f" for {', '.join(map(str, run.held))}" if run.held and stays else ""
    return f"{'folder' if run.folder else ''}{', MLflow' if run.forgettable else ''}{stays}{why}".lstrip(", ")


def _facts(run: Run) -> dict[str, Any]:
    return {
        "run": run.id,
        "line": run.line or None,
        "started": run.started.isoformat(),
        "verdict": run.verdict,
        "folder": str(run.folder) if run.folder else None,
        "folder_bytes": run.folder_bytes,
        "mlflow": run.stored is not None,
        "mlflow_bytes": run.mlflow_bytes,
        "versions": [{"line": one.line, "version": one.version, "in_use": one.serves} for one in run.held],
    }
