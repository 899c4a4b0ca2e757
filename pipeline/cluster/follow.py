"""Follows a run on a cluster: what its steps do until it has ended, and what came of it by MLflow's word."""

import os
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, NamedTuple

import kfp_server_api as kfp
from rich.console import Console

from finest.durations import duration
from finest.errors import ConfigError, FinestError
from pipeline.cluster.client import ApiError, Client
from pipeline.cluster.kube import KFP_NAMESPACE
from pipeline.cluster.pods import Pods
from pipeline.cluster.steps import Step, steps
from pipeline.cluster.transcript import ENDED, Said, cancelled, cancelling, clock, ending, failure, lines
from pipeline.ending import CANCELLED, EXIT_CODES, NOT_PROMOTED, PASSED, unapproved, unchanged
from pipeline.options import print_json
from pipeline.plain import say
from pipeline.table import failed_checks
from tracking import links
from tracking.answer import asked
from tracking.history import line_of, read_verdict
from tracking.outcome import Outcome, outcome

POLL_SECONDS = 5.0
PATIENCE_SECONDS = 600.0
"""Longest time that the API may be away while a run is followed: a port-forward breaks, a server is upgraded."""
LABEL = 9
"""Width of what lines begin with, the time or a word."""


def find(client: Client, run_id: str, model: str, console: Console) -> kfp.V2beta1Run:
    """Returns the run, with a line that says which it is.

    Raises FinestError where KFP does not know it, or its verdict could not be read.
    """
    if not os.environ.get("MLFLOW_TRACKING_URI"):
        raise ConfigError(
            "MLFLOW_TRACKING_URI is not set, and the verdict is read there; "
            "set it to the address that MLflow has from here"
        )
    run = client.ask(client.runs.run_service_get_run, run_id)
    asked(lambda: outcome(run_id, model))
    say(console, f"Run      {run.display_name} ({run.run_id})")
    return run


def show(client: Client, run: kfp.V2beta1Run, model: str, console: Console) -> int:
    """Prints the run's steps as they are now, and its verdict where it has ended.

    Returns the exit code of `run`; 0 while it goes on.
    """
    watch = Watch(client, str(run.run_id), console)
    said = watch.look(run)
    for one in said:
        say(console, one.text, indent=2)
    if run.state in ENDED:
        say(console, ending(run), indent=2)
        return _conclude(run, said, _outcome(run, model), console)
    say(console, f"run {'is being cancelled' if cancelling(run) else 'goes on'}; follow it with")
    say(console, f"  {command(str(run.run_id))}")
    return PASSED


def show_json(client: Client, run: kfp.V2beta1Run, model: str) -> int:
    """Prints what `show` does, for programs: the run's steps now, attempt by attempt, and what came of it.

    Returns and raises as `show` does.
    """
    quiet = Console(quiet=True)
    watch = Watch(client, str(run.run_id), quiet)
    said = watch.look(run)
    found = _outcome(run, model)
    print_json(_facts(run, steps(run, watch.pods.states()), said, found))
    return _conclude(run, said, found, quiet) if run.state in ENDED else PASSED


def _facts(run: kfp.V2beta1Run, now: Iterable[Step], said: list[Said], found: "Found") -> dict[str, Any]:
    return {
        "run": str(run.run_id),
        "name": run.display_name,
        "state": "cancelled" if cancelled(run) else str(run.state).lower(),
        "steps": [_step(step) for step in now if not step.driver],
        "said": [one.text for one in said],
        "verdict": found.outcome.verdict,
        "failed_step": found.outcome.failed_step,
        "error": found.outcome.error,
        "promoted_version": found.outcome.promoted_version,
        "awaiting": found.outcome.awaiting and found.outcome.awaiting.facts(),
    }


def _step(step: Step) -> dict[str, Any]:
    attempts = [
        {
            "state": attempt.state,
            "created": attempt.created.isoformat() if attempt.created else None,
            "ended": attempt.ended.isoformat() if attempt.ended else None,
        }
        for attempt in step.attempts
    ]
    return {"step": step.component, "title": step.title, "attempts": attempts}


def follow(client: Client, run_id: str, model: str, console: Console) -> int:
    """Prints what changes until the run has ended; returns the exit code of `run`.

    Raises FinestError where there is no verdict.
    """
    try:
        run, said = Watch(client, run_id, console).to_the_end()
        return _conclude(run, said, _outcome(run, model), console)
    except KeyboardInterrupt:
        raise FinestError(f"stopped following; the run goes on: {command(run_id)}") from None


def command(run_id: str) -> str:
    """Returns the command that follows the run."""
    return f"finest status {run_id} --follow"


def now() -> datetime:
    """Returns the time on this machine."""
    return datetime.now(UTC)


class Watch:
    """Holds a run, and what has been said of it."""

    def __init__(self, client: Client, run_id: str, console: Console):
        self.client, self.run_id, self.console = client, run_id, console
        self.pods = Pods(client.namespace or KFP_NAMESPACE, run_id, lambda text: self._tell(f"note: {text}"))
        self.said: set[tuple[str, ...]] = set()

    def look(self, run: kfp.V2beta1Run) -> list[Said]:
        """Returns what there is to say of the run now."""
        states = {str(task.state) for task in (run.run_details.task_details if run.run_details else None) or []}
        if states & {"PENDING", "RUNNING", "FAILED"}:
            self.pods.look(live=run.state not in ENDED)
        return list(lines(run, steps(run, self.pods.states()), self.pods, now()))

    def to_the_end(self) -> tuple[kfp.V2beta1Run, list[Said]]:
        """Prints a line for all that changes; returns the run once it has ended, and all that there is to say of it."""
        for run in self._polled():
            said = self.look(run)
            for one in said:
                if one.news and one.topic not in self.said:
                    self.said.add(one.topic)
                    self._tell(one.text)
            if run.state in ENDED:
                self._tell(ending(run))
                return run, said
            if cancelling(run) and ("cancelling",) not in self.said:
                self.said.add(("cancelling",))
                self._tell("run is being cancelled")
        raise AssertionError("a run is polled until it has ended")

    def _polled(self) -> Iterator[kfp.V2beta1Run]:
        away: float | None = None
        while True:
            try:
                run = self.client.ask(self.client.runs.run_service_get_run, self.run_id)
            except ApiError as error:
                if error.status == 404:
                    raise
                if not error.passing or (away is not None and time.monotonic() - away > PATIENCE_SECONDS):
                    raise FinestError(f"{error} (the run goes on: {command(self.run_id)})") from None
                if away is None:
                    away = time.monotonic()
                    self._tell(f"{error}; asking again for up to {duration(PATIENCE_SECONDS)}")
            else:
                if away is not None:
                    self._tell(f"Kubeflow Pipelines answers again after {duration(time.monotonic() - away)}")
                    away = None
                yield run
            time.sleep(POLL_SECONDS)

    def _tell(self, text: str) -> None:
        say(self.console, f"{clock(now(), now())} {text}", indent=LABEL)


class Found(NamedTuple):
    """Holds what MLflow says of a run."""

    model: str
    """Name of its line, and of its registered model."""
    outcome: Outcome


def _outcome(run: kfp.V2beta1Run, model: str) -> Found:
    run_id = str(run.run_id)
    own = line_of(run_id) or model  # whichever config this command was given
    return Found(own, asked(lambda: outcome(run_id, own)))


def _conclude(run: kfp.V2beta1Run, said: list[Said], result: Found, console: Console) -> int:
    """Prints what came of a run that has ended, by MLflow's word and not KFP's; returns the exit code."""
    run_id, (model, found) = str(run.run_id), result
    if not cancelled(run) and (found.verdict is None or found.failed_step):
        without = "without a verdict" if found.verdict is None else f"after the verdict {found.verdict}"
        raise FinestError(f"the run {run_id} ended {run.state} {without} ({_why(found, said)})")
    _show_verdict(run_id, found, console)
    code = CANCELLED if cancelled(run) else EXIT_CODES[str(found.verdict)]
    if found.promoted_version is not None:
        say(console, f"Promoted {model} version {found.promoted_version} is the champion")
    elif cancelled(run):
        say(console, f"Cancelled; {asked(lambda: unchanged(model))}")
    elif (needs := asked(lambda: unapproved(model, found))) is not None:
        text, code = needs
        say(console, text)
    elif found.verdict == "pass":
        wrong = f"the gate passed, but the champion of {model} is not this run's model"
        raise FinestError(f"the run {run_id} ended {run.state}: {wrong}; see the step promote in KFP")
    else:
        say(console, f"{NOT_PROMOTED[str(found.verdict)]}  {asked(lambda: unchanged(model))}")
    if links.served() and (page := asked(lambda: links.run(run_id))):
        say(console, f"MLflow   {page}")
    return code


def _why(found: Outcome, said: list[Said]) -> str:
    """Returns which step failed: MLflow has its error, KFP and Kubernetes know of pods that never came that far."""
    if found.failed_step:
        return f"{found.failed_step} failed: {found.error}"
    return failure(said) or "neither MLflow nor KFP names a step that failed; see the logs in KFP"


def _show_verdict(run_id: str, found: Outcome, console: Console) -> None:
    """Prints the verdict with its reason, or with all checks that did not hold; alone where the rest cannot be read."""
    if found.verdict is None:
        return
    try:
        verdict = read_verdict(run_id)
    except FinestError as error:
        say(console, f"Verdict  {found.verdict}")
        say(console, f"note: which checks held is not shown: {error}", indent=LABEL)
        return
    checks = failed_checks(verdict)
    say(console, f"Verdict  {verdict.verdict}{'' if checks else f'. {verdict.reason}'}", indent=LABEL)
    for check in checks:
        say(console, " " * LABEL + check, indent=LABEL + 2)
