"""Commands that work on a cluster."""

import os
from pathlib import Path
from typing import Annotated

import typer

from finest.errors import ConfigError
from pipeline import config as configs
from pipeline import state as states
from pipeline.options import AsOf, Sets, StateFolder, console, settings

# Heavy imports stand in the commands that need them: a mistyped option must not wait for them.

NightlyFile = Annotated[Path | None, typer.Option("--config", help="Config file (YAML); nightly.yaml where not given.")]
Source = Annotated[str | None, typer.Option(help="Interactions: a URI that the cluster reaches.")]
Checkpoints = Annotated[str | None, typer.Option(help="Where trainings leave checkpoints: a URI.")]
Compiled = Annotated[Path, typer.Option("--pipeline", help="The compiled pipeline.")]
Account = Annotated[str, typer.Option("--service-account", help="Of the steps; '' for the installation's own.")]
Root = Annotated[str, typer.Option("--pipeline-root", help="Where artifacts go (a URI); the installation's own if not given.")]
Host = Annotated[str, typer.Option("--host", help="KFP's address, like http://localhost:8888; KFP_HOST, or the service in the cluster.")]
Namespace = Annotated[str, typer.Option("--namespace", help="Of the profile, where KFP serves many users; or KFP_NAMESPACE.")]
TokenFile = Annotated[str, typer.Option("--token-file", help="File of a bearer token; or KFP_TOKEN_FILE, KFP_TOKEN, the pod's own.")]
Authority = Annotated[str, typer.Option("--ca", help="Certificates that KFP's is signed with; or KFP_CA.")]

COMPILED = Path("pipeline.yaml")
ACCOUNT = "finest-pipeline"


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    for command in (submit, schedule, status, doctor):
        app.command()(command)


def submit(
    config: NightlyFile = None, source: Source = None, checkpoints: Checkpoints = None, as_of: AsOf = None, sets: Sets = None,
    pipeline: Compiled = COMPILED, service_account: Account = ACCOUNT, pipeline_root: Root = "",
    detach: Annotated[bool, typer.Option("--detach", help="Start the run and leave it.")] = False,
    follow: Annotated[str | None, typer.Option(help="Start nothing; follow the run of this id.")] = None,
    fit_check: Annotated[bool, typer.Option("--fit-check/--no-fit-check", help="Refuse a run that no node can ever hold.")] = True,
    host: Host = "", namespace: Namespace = "", token_file: TokenFile = "", ca: Authority = "",
) -> None:  # fmt: skip
    """Start a run on a cluster and follow it to its verdict. Exit codes are those of `run`."""
    loaded = _load(config, settings(sets, source=source, checkpoints=checkpoints, as_of=as_of))
    from pipeline.cluster import submit as runs
    from pipeline.cluster.client import Access, connect

    client, out = connect(Access(host, namespace, token_file, ca)), console()
    if not detach:
        runs.check_tracking()
    run = follow or runs.start(client, loaded, runs.Options(pipeline, service_account, pipeline_root, fit_check), out)
    if not detach:
        raise typer.Exit(runs.follow(client, run, loaded.promote.registered_model, out))
    runs.say(out, f"follow it: python -m pipeline submit --follow {run}")


def schedule(
    cron: Annotated[str | None, typer.Option(help="Minute, hour, day, month, day of week, like '0 2 * * *'.")] = None,
    zone: Annotated[str, typer.Option("--time-zone", help="That --cron is meant in, like Europe/Berlin.")] = "UTC",
    server_zone: Annotated[str, typer.Option(help="KFP's own: CRON_SCHEDULE_TIMEZONE of its scheduled-workflow controller.")] = "UTC",
    disable: Annotated[bool, typer.Option("--disable", help="Turn the schedule off.")] = False,
    delete: Annotated[bool, typer.Option("--delete", help="Remove the schedule.")] = False,
    config: NightlyFile = None, source: Source = None, checkpoints: Checkpoints = None, sets: Sets = None,
    pipeline: Compiled = COMPILED, service_account: Account = ACCOUNT, pipeline_root: Root = "",
    host: Host = "", namespace: Namespace = "", token_file: TokenFile = "", ca: Authority = "",
) -> None:  # fmt: skip
    """Create or replace the one nightly run: one at a time, nights that were missed are not caught up on."""
    if (cron is not None) + disable + delete != 1:
        raise ConfigError("schedule: give one of --cron '0 2 * * *', --disable and --delete")
    loaded = _load(config, settings(sets, source=source, checkpoints=checkpoints)) if cron is not None else None
    from pipeline.cluster import schedule as schedules
    from pipeline.cluster.client import Access, connect
    from pipeline.cluster.submit import Options

    client, out = connect(Access(host, namespace, token_file, ca)), console()
    if cron is not None and loaded is not None:
        options, when = Options(pipeline, service_account, pipeline_root), schedules.When(cron, zone, server_zone)
        schedules.set_schedule(client, loaded, options, when, out)
    elif disable:
        schedules.disable(client, out)
    else:
        schedules.delete(client, out)


def status(
    last: Annotated[int, typer.Option(min=1, max=1000, help="How many runs to show.")] = 10,
    max_age: Annotated[str | None, typer.Option(help="Exit 1 where the newest verdict is older, like 26h.")] = None,
    state: StateFolder = None,
) -> None:
    """Show the last runs and their verdicts, from MLflow."""
    states.use(state)
    from pipeline.cluster import status as nights

    limit = nights.age(max_age) if max_age is not None else None
    out = console()
    nights.show(out, last)
    if limit is not None:
        out.print(nights.check_age(limit), markup=False, highlight=False, soft_wrap=True)


def doctor(
    config: NightlyFile = None, checkpoints: Checkpoints = None, sets: Sets = None,
    pipeline: Compiled = COMPILED, service_account: Account = ACCOUNT,
    host: Host = "", namespace: Namespace = "", token_file: TokenFile = "", ca: Authority = "",
) -> None:  # fmt: skip
    """Check everything that a nightly run needs; exit 1 where something is wrong."""
    loaded = _load(config, settings(sets, checkpoints=checkpoints))
    from pipeline.cluster import doctor as checks
    from pipeline.cluster.client import Access, connect
    from pipeline.cluster.submit import Options

    rows = checks.examine(connect(Access(host, namespace, token_file, ca)), loaded, Options(pipeline, service_account))
    checks.show(console(), rows)
    raise typer.Exit(int(any(row.status == "failed" for row in rows)))


def _load(config: Path | None, given: list[str]) -> configs.Config:
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    return configs.load(config or configs.NIGHTLY, given)
