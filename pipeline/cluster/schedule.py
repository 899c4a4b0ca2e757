"""Sets a line's nightly run: exactly one recurring run of its name, however often it is set."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import kfp_server_api as kfp
from rich.console import Console

from finest.errors import ConfigError, FinestError
from pipeline.cluster import cron, parameters
from pipeline.cluster.client import Client
from pipeline.cluster.submit import Options
from pipeline.cluster.versions import ensure_experiment, ensure_version
from pipeline.config import Config
from pipeline.plain import say


def named(line: str) -> str:
    """Returns the name of a line's schedule."""
    return f"{line}-nightly"


@dataclass(frozen=True)
class When:
    """Says when runs start."""

    cron: str
    """Minute, hour, day of month, month, day of week."""
    zone: str = "UTC"
    """Time zone that `cron` is meant in."""
    server_zone: str = "UTC"
    """Time zone that KFP reads it in: CRON_SCHEDULE_TIMEZONE of its ml-pipeline-scheduledworkflow controller, UTC where
    unset."""


def set_schedule(client: Client, config: Config, options: Options, when: When, console: Console) -> str:
    """Creates or replaces the line's recurring run; leaves it alone where it is as asked already. Returns its id.

    Those of other lines stay. Recurring runs cannot be edited. The new one stays off until the old ones are gone: a
    crash in between leaves none that runs, which the watch sees, and never two.
    """
    if config.as_of is not None:
        raise ConfigError(
            "as_of: a scheduled run stands for the time that it was scheduled for; leave as_of out of the config"
        )
    if config.rebase:
        raise ConfigError(
            "rebase: a line starts over once, and not every night; start that one run with submit --rebase"
        )
    name, now = named(config.line), datetime.now(UTC)
    theirs, servers = cron.zone(when.zone), cron.zone(when.server_zone)
    expression = cron.translate(when.cron, theirs, servers, now)
    values = parameters.given(config, options.compiled)
    version, _ = ensure_version(client, options.compiled)
    wanted = kfp.V2beta1RecurringRun(
        display_name=name,
        experiment_id=ensure_experiment(client),
        namespace=client.namespace or None,
        description=f"{when.cron} in {when.zone}, as {expression} in {when.server_zone}",
        max_concurrency="1",
        no_catchup=True,
        trigger=kfp.V2beta1Trigger(cron_schedule=kfp.V2beta1CronSchedule(cron=expression)),
        mode=kfp.RecurringRunMode.DISABLE,
        pipeline_version_reference=version,
        service_account=options.service_account or None,
        runtime_config=kfp.V2beta1RuntimeConfig(parameters=values, pipeline_root=options.pipeline_root or None),
    )
    old = find(client, name)
    same = [one for one in old if _content(one) == _content(wanted)]
    kept = same[0] if same else client.ask(client.recurring.recurring_run_service_create_recurring_run, wanted)
    id = str(kept.recurring_run_id)
    for other in old:
        if other.recurring_run_id != id:
            client.ask(client.recurring.recurring_run_service_delete_recurring_run, other.recurring_run_id)
    if kept.mode != kfp.RecurringRunMode.ENABLE:
        client.ask(client.recurring.recurring_run_service_enable_recurring_run, id)
    done = "unchanged" if same else "replaced" if old else "created"
    say(console, f"Schedule {name} {done}: {wanted.description}")
    if moved := cron.drift(theirs, servers, now):
        change, minutes = moved
        say(
            console,
            f"note: KFP knows one time zone ({when.server_zone}): from {change.astimezone(theirs):%Y-%m-%d} on, "
            "runs start "
            f"{abs(minutes)} minutes {'later' if minutes > 0 else 'earlier'} by the clocks of {when.zone}, "
            "until this command is given "
            f"again; for good: set CRON_SCHEDULE_TIMEZONE={when.zone} on KFP's scheduled-workflow controller and give "
            f"--server-zone {when.zone}",
        )
    return id


def find(client: Client, name: str) -> list[Any]:
    """Returns all recurring runs of that name."""
    return [one for one in _all(client) if one.display_name == name]


def _all(client: Client) -> list[Any]:
    call = client.recurring.recurring_run_service_list_recurring_runs
    return list(client.pages(call, "recurring_runs", namespace=client.namespace))


def disable(client: Client, console: Console, name: str) -> None:
    """Stops new runs until the schedule is set again; one that is going on goes on."""
    for one in _some(client, name):
        client.ask(client.recurring.recurring_run_service_disable_recurring_run, one.recurring_run_id)
    say(console, f"Schedule {name} is off; `finest schedule --config FILE --cron ...` turns it on")


def delete(client: Client, console: Console, name: str) -> None:
    """Removes the recurring run; its runs stay."""
    for one in _some(client, name):
        client.ask(client.recurring.recurring_run_service_delete_recurring_run, one.recurring_run_id)
    say(console, f"Schedule {name} is deleted")


def _some(client: Client, name: str) -> list[Any]:
    if not (found := find(client, name)):
        there = ", ".join(sorted({one.display_name for one in _all(client)})) or "none"
        raise FinestError(
            f"there is no schedule {name} at {client.host} (there are: {there}); "
            "`finest schedule --config FILE --cron ...` makes it"
        )
    return found


def _content(run: Any) -> dict[str, Any]:
    """Returns what decides when and what a recurring run runs, comparable between a request and the API's answer."""
    version, runtime, trigger = run.pipeline_version_reference, run.runtime_config, run.trigger
    return {
        "cron": trigger.cron_schedule.cron if trigger and trigger.cron_schedule else None,
        "version": version.pipeline_version_id if version else None,
        "parameters": (runtime.parameters if runtime else None) or {},
        "root": (runtime.pipeline_root if runtime else None) or "",
        "account": run.service_account or "",
        "concurrency": str(run.max_concurrency),
        "no_catchup": bool(run.no_catchup),
    }
