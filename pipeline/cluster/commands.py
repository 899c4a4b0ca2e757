"""Defines the commands that work on a cluster."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from finest.errors import ConfigError
from pipeline import config as configs
from pipeline import state as states
from pipeline.options import (
    AsOf,
    Json,
    Name,
    NightlyFile,
    Rebase,
    Sets,
    StateFolder,
    console,
    examples,
    print_json,
    settings,
    switch,
)
from pipeline.plain import say
from pipeline.settings import Setting

# Heavy imports stand in the commands that need them: a mistyped option must not wait for them.

Source = Annotated[str | None, typer.Option(help="Interactions: a URI that the cluster reaches.")]
Checkpoints = Annotated[str | None, typer.Option(help="Where trainings leave checkpoints: a URI.")]
Compiled = Annotated[Path, typer.Option("--pipeline", help="The compiled pipeline.")]
Account = Annotated[str, typer.Option("--service-account", help="Of the steps; '' for the installation's own.")]
Root = Annotated[
    str, typer.Option("--pipeline-root", help="Where artifacts go (a URI); the installation's own if not given.")
]
Host = Annotated[
    str,
    typer.Option("--host", help="KFP's address, like http://localhost:8888; KFP_HOST, or the service in the cluster."),
]
Namespace = Annotated[
    str, typer.Option("--namespace", help="Of the profile, where KFP serves many users; or KFP_NAMESPACE.")
]
TokenFile = Annotated[
    str, typer.Option("--token-file", help="File of a bearer token; or KFP_TOKEN_FILE, KFP_TOKEN, the pod's own.")
]
Authority = Annotated[str, typer.Option("--ca", help="Certificates that KFP's is signed with; or KFP_CA.")]

COMPILED = Path("pipeline.yaml")
ACCOUNT = "finest-pipeline"


def register(app: typer.Typer) -> None:
    """Adds the commands to an app."""
    for command, lines in (
        (submit, ("finest submit --config mine.yaml", "finest submit --config mine.yaml --as-of 2026-11-24 --detach")),
        (schedule, ("finest schedule --config mine.yaml --cron '0 2 * * *' --time-zone Europe/Berlin",)),
        (status, ("finest status --max-age 26h", "finest status 9570e685-94a4-44c3-ad56-3b5352279f44 --follow")),
        (doctor, ("finest doctor --config mine.yaml", "finest doctor --config mine.yaml --json")),
    ):
        app.command(epilog=examples(*lines))(command)


def submit(
    config: NightlyFile = None,
    source: Source = None,
    checkpoints: Checkpoints = None,
    name: Name = None,
    as_of: AsOf = None,
    rebase: Rebase = False,
    sets: Sets = None,
    pipeline: Compiled = COMPILED,
    service_account: Account = ACCOUNT,
    pipeline_root: Root = "",
    detach: Annotated[bool, typer.Option("--detach", help="Start the run and leave it.")] = False,
    follow: Annotated[
        str | None, typer.Option(metavar="RUN", help="Start nothing; the same as `status RUN --follow`.")
    ] = None,
    fit_check: Annotated[
        bool, typer.Option("--fit-check/--no-fit-check", help="Refuse a run that no node can ever hold.")
    ] = True,
    host: Host = "",
    namespace: Namespace = "",
    token_file: TokenFile = "",
    ca: Authority = "",
) -> None:
    """Start a run on a cluster and follow it to its verdict; Ctrl-C leaves it going.

    Exit codes: 0 promoted, passed or skipped; 3 refused by the gate; 4 cancelled; 5 passed and awaiting
    approval; 2 usage or config; 1 anything else.
    """
    given = {"name": name, "source": source, "checkpoints": checkpoints, "as_of": as_of, "rebase": switch(rebase)}
    loaded = _load(config, settings(sets, **given))
    from pipeline.cluster import follow as watch
    from pipeline.cluster import submit as runs
    from pipeline.cluster.client import Access, connect

    client, out, model = connect(Access(host, namespace, token_file, ca)), console(), loaded.line
    if follow is not None:
        run = str(watch.find(client, follow, model, out).run_id)
    else:
        if not detach:
            runs.check_followable(pipeline)
            runs.check_tracking(loaded.line)
        run = runs.start(client, loaded, runs.Options(pipeline, service_account, pipeline_root, fit_check), out)
    if not detach:
        raise typer.Exit(watch.follow(client, run, model, out))
    say(out, f"follow it: {watch.command(run)}")


def schedule(
    cron: Annotated[str | None, typer.Option(help="Minute, hour, day, month, day of week, like '0 2 * * *'.")] = None,
    zone: Annotated[str, typer.Option("--time-zone", help="That --cron is meant in, like Europe/Berlin.")] = "UTC",
    server_zone: Annotated[
        str, typer.Option(help="KFP's own: CRON_SCHEDULE_TIMEZONE of its scheduled-workflow controller.")
    ] = "UTC",
    disable: Annotated[bool, typer.Option("--disable", help="Turn the schedule off.")] = False,
    delete: Annotated[bool, typer.Option("--delete", help="Remove the schedule.")] = False,
    config: NightlyFile = None,
    source: Source = None,
    checkpoints: Checkpoints = None,
    name: Name = None,
    sets: Sets = None,
    pipeline: Compiled = COMPILED,
    service_account: Account = ACCOUNT,
    pipeline_root: Root = "",
    host: Host = "",
    namespace: Namespace = "",
    token_file: TokenFile = "",
    ca: Authority = "",
) -> None:
    """Create or replace the nightly run of a line: one at a time, nights that were missed are not caught up on."""
    if (cron is not None) + disable + delete != 1:
        raise ConfigError("schedule: give one of --cron '0 2 * * *', --disable and --delete")
    loaded = _load(config, settings(sets, name=name, source=source, checkpoints=checkpoints))
    from pipeline.cluster import schedule as schedules
    from pipeline.cluster.client import Access, connect
    from pipeline.cluster.submit import Options

    client, out = connect(Access(host, namespace, token_file, ca)), console()
    if cron is not None:
        options, when = Options(pipeline, service_account, pipeline_root), schedules.When(cron, zone, server_zone)
        schedules.set_schedule(client, loaded, options, when, out)
    elif disable:
        schedules.disable(client, out, schedules.named(loaded.line))
    else:
        schedules.delete(client, out, schedules.named(loaded.line))


def status(
    run: Annotated[
        str | None, typer.Argument(metavar="[RUN]", help="Of a cluster: shows its steps and its verdict.")
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", help="Follow RUN to its verdict; Ctrl-C leaves it going.")
    ] = False,
    last: Annotated[
        int | None, typer.Option(min=1, max=1000, help="Without RUN: how many runs to show; 10 if not given.")
    ] = None,
    max_age: Annotated[
        str | None, typer.Option(help="Without RUN: exit 1 where the newest verdict is older, like 26h.")
    ] = None,
    name: Annotated[
        str | None, typer.Option("--name", help="Without RUN: the line whose runs are shown; all if not given.")
    ] = None,
    state: StateFolder = None,
    config: NightlyFile = None,
    sets: Sets = None,
    host: Host = "",
    namespace: Namespace = "",
    token_file: TokenFile = "",
    ca: Authority = "",
    as_json: Json = False,
) -> None:
    """Show the last runs and their verdicts, from MLflow; or what one run on a cluster does, step by step, and why.

    Exit codes with RUN, once it has ended: 0 promoted, passed or skipped; 3 refused by the gate; 4 cancelled;
    5 passed and awaiting approval; 2 usage or config; 1 anything else.
    """
    (states.use if run else states.existing)(state)
    if not run:
        if follow or config or sets or host or namespace or token_file or ca:
            raise ConfigError(
                "status: --follow, the config and KFP's address are for one run; name it: status RUN --follow"
            )
        _nights(name or "", last or 10, max_age, as_json)
        return
    if follow and as_json:
        raise ConfigError("status: --json says what is so now; leave out --follow, and ask again")
    if last is not None or max_age is not None or name is not None:
        raise ConfigError("status: --last, --max-age and --name are for the table of runs; leave RUN out")
    model = _load(config, sets or []).line
    from pipeline.cluster import follow as watch
    from pipeline.cluster.client import Access, connect

    client, out = connect(Access(host, namespace, token_file, ca)), Console(quiet=True) if as_json else console()
    found = watch.find(client, run, model, out)
    if as_json:
        raise typer.Exit(watch.show_json(client, found, model))
    raise typer.Exit(watch.follow(client, run, model, out) if follow else watch.show(client, found, model, out))


def _nights(line: str, last: int, max_age: str | None, as_json: bool) -> None:
    from pipeline.cluster import status as nights

    limit = nights.age(max_age) if max_age is not None else None
    out = Console(quiet=True) if as_json else console()
    if as_json:
        print_json(nights.facts(last, line))
    else:
        nights.show(out, last, line)
    if limit is not None:
        say(out, nights.check(limit, line))


def doctor(
    config: NightlyFile = None,
    checkpoints: Checkpoints = None,
    name: Name = None,
    sets: Sets = None,
    pipeline: Compiled = COMPILED,
    service_account: Account = ACCOUNT,
    host: Host = "",
    namespace: Namespace = "",
    token_file: TokenFile = "",
    ca: Authority = "",
    as_json: Json = False,
) -> None:
    """Check everything that a line's nightly run needs; exit 1 where something is wrong."""
    loaded = _load(config, settings(sets, name=name, checkpoints=checkpoints))
    from pipeline.cluster import doctor as checks
    from pipeline.cluster.client import Access, connect
    from pipeline.cluster.submit import Options

    rows = checks.examine(connect(Access(host, namespace, token_file, ca)), loaded, Options(pipeline, service_account))
    if as_json:
        print_json(
            {"checks": [{"name": one.name, "status": one.status, "said": one.said, "fix": one.fix} for one in rows]}
        )
    else:
        checks.show(console(), rows)
    raise typer.Exit(int(any(row.status == "failed" for row in rows)))


def _load(config: Path | None, given: Sequence[Setting]) -> configs.Config:
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    return configs.load(config or configs.NIGHTLY, given)
