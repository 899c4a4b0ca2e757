"""One run on a cluster: started, followed to its end, judged by what MLflow says of it."""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import kfp_server_api as kfp
from rich.console import Console

from finest.errors import ConfigError, FinestError
from pipeline.cluster import fits, parameters
from pipeline.cluster.client import ApiError, Client
from pipeline.cluster.versions import ensure_experiment, ensure_version
from pipeline.config import Config
from pipeline.policy import POLICIES
from tracking.runs import outcome
from tracking.store import check

ENDED = ("SUCCEEDED", "FAILED", "SKIPPED", "CANCELED")
"""States that a run does not leave. kfp's own client waits for ever on the last one."""
POLL_SECONDS = 5.0
PATIENCE_SECONDS = 600.0
"""How long the API may be away while a run is followed: a port-forward breaks, a server is upgraded."""

PASSED, REFUSED = 0, 3


@dataclass(frozen=True)
class Options:
    """How a run is started; empty means what the installation has set."""

    compiled: Path = Path("pipeline.yaml")
    service_account: str = "finest-pipeline"
    pipeline_root: str = ""
    """Where artifacts go: a URI."""
    fit_check: bool = True
    """Whether a run that the cluster can never hold is refused."""


def start(client: Client, config: Config, options: Options, console: Console) -> str:
    """Starts a run and returns its id."""
    values = parameters.given(config, options.compiled)
    if options.fit_check:
        say(console, f"Fits     {fits.known(client.namespace, config, options.compiled)}")
    version, uploaded = ensure_version(client, options.compiled)
    say(console, f"Version  {version.pipeline_version_id} ({'uploaded' if uploaded else 'unchanged'})")
    body = kfp.V2beta1Run(
        display_name=f"finest {datetime.now():%Y-%m-%d %H:%M}", experiment_id=ensure_experiment(client),
        pipeline_version_reference=version, service_account=options.service_account or None,
        runtime_config=kfp.V2beta1RuntimeConfig(parameters=values, pipeline_root=options.pipeline_root or None),
    )  # fmt: skip
    run = client.ask(client.runs.run_service_create_run, body)
    say(console, f"Run      {run.run_id}")
    return str(run.run_id)


def check_tracking() -> None:
    """The verdict is read from MLflow: better to know now than after hours that it cannot be."""
    if not os.environ.get("MLFLOW_TRACKING_URI"):
        raise ConfigError("MLFLOW_TRACKING_URI is not set, and the verdict is read there; set it, or leave the run with --detach")
    check()


def follow(client: Client, run_id: str, registered_model: str, console: Console) -> int:
    """Prints what changes until the run has ended; returns the exit code of `run`. Raises FinestError where there is no verdict."""
    try:
        state = _watch(client, run_id, console)
    except KeyboardInterrupt:
        raise FinestError(f"stopped following; the run goes on: python -m pipeline submit --follow {run_id}") from None
    found = outcome(run_id, registered_model)
    if found.verdict is None or found.failed_step:
        why = f"{found.failed_step} failed: {found.error}" if found.failed_step else "MLflow knows of no failed step; see the logs in KFP"
        raise FinestError(f"the run {run_id} ended {state} without a verdict ({why})")
    say(console, f"Verdict  {found.verdict}")
    if found.verdict == "pass":
        if found.promoted_version is None:
            wrong = f"the gate passed, but the champion of {registered_model} is not this run's model"
            raise FinestError(f"the run {run_id} ended {state}: {wrong}; see the step promote in KFP")
        say(console, f"Promoted {registered_model} version {found.promoted_version} is the champion")
    elif found.verdict == "fail":
        say(console, f"Refused  the champion of {registered_model} stays as it was")
    return REFUSED if found.verdict == "fail" else PASSED


def _watch(client: Client, run_id: str, console: Console) -> str:
    """Prints a line whenever a step changes its state; returns the run's last one."""
    steps = Steps()
    for run in _polled(client, run_id):
        for line in steps.changes(run):
            say(console, f"{datetime.now():%H:%M:%S} {line}")
        if run.state in ENDED:
            why = f": {run.error.message}" if run.error and run.error.message else ""
            say(console, f"{datetime.now():%H:%M:%S} run {run.state}{why}")
            return str(run.state)
    raise AssertionError("a run is polled until it has ended")


def _polled(client: Client, run_id: str) -> Iterator[kfp.V2beta1Run]:
    answered = time.monotonic()
    while True:
        try:
            run = client.ask(client.runs.run_service_get_run, run_id)
        except ApiError as error:
            if not error.passing or time.monotonic() - answered > PATIENCE_SECONDS:
                raise FinestError(f"{error} (the run goes on: python -m pipeline submit --follow {run_id})") from None
        else:
            answered = time.monotonic()
            yield run
        time.sleep(POLL_SECONDS)


class Steps:
    """What has been said about a run's steps."""

    def __init__(self) -> None:
        self.titles: dict[str, str] = {}
        self.said: dict[str, str] = {}

    def changes(self, run: kfp.V2beta1Run) -> list[str]:
        """A line for each step whose state is not what was said last. Further ones of a name (shards) are numbered."""
        tasks = [task for task in (run.run_details.task_details if run.run_details else None) or [] if step_name(task)]
        lines = []
        for task in sorted(tasks, key=lambda one: (str(one.create_time), one.task_id)):
            if task.task_id not in self.titles:
                title = POLICIES[step_name(task)].title
                number = 1 + sum(given.partition(" #")[0] == title for given in self.titles.values())
                self.titles[task.task_id] = title if number == 1 else f"{title} #{number}"
            said = str(task.state) + (f": {task.error.message}" if task.error and task.error.message else "")
            if self.said.get(task.task_id) != said:
                self.said[task.task_id] = said
                lines.append(f"{self.titles[task.task_id]}: {said}")
        return lines


def step_name(task: Any) -> str:
    """The component's name, or empty for what KFP puts around a step (drivers, groups): attempts end in a number in brackets."""
    name = str(task.display_name or "").partition("(")[0]
    return name if name in POLICIES and task.state else ""


def say(console: Console, line: str) -> None:
    """One line, as it is."""
    console.print(line, markup=False, highlight=False, soft_wrap=True)
