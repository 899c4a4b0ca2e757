"""Tells a run in lines, for people: what its steps do, and why."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from finest.durations import duration
from pipeline.cluster.pods import OUT_OF_MEMORY, Pods
from pipeline.cluster.steps import Attempt, Step, moment
from pipeline.policy import BACKOFF_SECONDS, POLICIES

ENDED = ("SUCCEEDED", "FAILED", "SKIPPED", "CANCELED")
"""States that a run does not leave. kfp's own client waits for ever on the last one."""
LATELY = timedelta(seconds=30)
"""Time that a pod may be pending before that is worth a line without a reason; what runs needs no word on since
when."""
WAITED = timedelta(minutes=1)
"""Time from which on it is worth a word that a pod was pending, once it has ended."""
MEMORY = {"training": "placement.memory", "data": "placement.data_memory", "small": "placement.small_memory"}
"""Config key of a step's memory, by the size that its policy gives it."""


class Said(NamedTuple):
    """Holds a line about an attempt of a step."""

    topic: tuple[str, ...]
    """The attempt, its state and that state's reason: said once while a run is followed."""
    text: str
    news: bool
    """Whether it is worth a line of its own while a run is followed."""


class Words(NamedTuple):
    """Holds a state in words."""

    text: str
    kind: str
    """Word that tells apart what is to be said anew of the same state."""
    news: bool = True


def lines(run: Any, steps: list[Step], pods: Pods, now: datetime) -> Iterator[Said]:
    """Returns what there is to say of the steps as they are now, a line for every attempt.

    Drivers have one where they wait for something or fail.
    """
    stopped = cancelling(run)
    for step in steps:
        for number, attempt in enumerate(step.attempts, start=1):
            words = _words(step, attempt, number == len(step.attempts), stopped, pods, now)
            if run.state in ENDED and attempt.state in ("pending", "running"):
                words = Words("KFP has not said how it ended", "", news=not step.driver)
            if not step.driver or (words.news and attempt.state in ("pending", "failed")):
                title = f"KFP's driver of {step.title}" if step.driver else step.title
                count = f", attempt {number}" if number > 1 else ""
                yield Said(
                    (step.key, str(number), attempt.state, words.kind), f"{title}{count}: {words.text}", words.news
                )


def _words(step: Step, attempt: Attempt, last: bool, stopped: datetime | None, pods: Pods, now: datetime) -> Words:
    match attempt.state:
        case "pending":
            return _pending(attempt, pods, now)
        case "running":
            since = attempt.running or attempt.created
            return Words(f"running since {clock(since, now)}" if since and now - since > LATELY else "running", "")
        case "done":
            waited = attempt.running - attempt.created if attempt.running and attempt.created else timedelta()
            return Words(
                f"done{_took('in', attempt)}{f', {span(waited)} of it pending' if waited > WAITED else ''}", ""
            )
        case "cached":
            return Words("cached", "")
        case "failed":
            if stopped and attempt.ended and attempt.ended >= stopped:
                return Words(f"cancelled{_took('after', attempt)}", "cancelled")
            why = pods.failed(attempt.node)
            if OUT_OF_MEMORY in why and step.component in POLICIES and not step.driver:
                why += f", raise {MEMORY[POLICIES[step.component].size]}"
            said = f"failed{_took('after', attempt)}{f': {why}' if why else ''}"
            if not last or stopped:
                return Words(said, "")
            return (
                Words(f"{said}{_next(step, attempt, now)}", "")
                if step.open
                else Words(f"{said}; not tried again", "for good")
            )


def _pending(attempt: Attempt, pods: Pods, now: datetime) -> Words:
    if reason := pods.waits(attempt.node):
        return Words(f"pending: {reason.text}", reason.kind)
    return Words("pending", "", news=attempt.created is not None and now - attempt.created > LATELY)


def _next(step: Step, attempt: Attempt, now: datetime) -> str:
    """Returns when the next attempt may come, by the policy that this version compiles with.

    Whether it does is for the cluster to say.
    """
    if (
        attempt.ended is None
        or step.driver
        or step.component not in POLICIES
        or attempt.number >= POLICIES[step.component].retries
    ):
        return ""
    return (
        f"; may be tried again at {clock(attempt.ended + timedelta(seconds=BACKOFF_SECONDS * 2**attempt.number), now)}"
    )


def _took(word: str, attempt: Attempt) -> str:
    return f" {word} {span(attempt.ended - attempt.created)}" if attempt.created and attempt.ended else ""


def cancelling(run: Any) -> datetime | None:
    """Returns when somebody asked for the run's end."""
    return next(
        (one.update_time for one in run.state_history or [] if str(one.state) in ("CANCELING", "CANCELED")), None
    )


def cancelled(run: Any) -> bool:
    """Tells whether somebody ended the run. KFP calls it failed; one that was quicker than its end is as it is."""
    return str(run.state) == "CANCELED" or (str(run.state) == "FAILED" and cancelling(run) is not None)


def ending(run: Any) -> str:
    """Returns the run's own line."""
    how = (
        "cancelled"
        if cancelled(run)
        else {"SUCCEEDED": "succeeded", "FAILED": "failed", "SKIPPED": "skipped"}[str(run.state)]
    )
    began, ended = moment(run.created_at), moment(run.finished_at)
    why = f": {run.error.message}" if run.error and run.error.message else ""
    return f"run {how}{f' after {span(ended - began)}' if began and ended else ''}{why}"


def failure(said: list[Said]) -> str:
    """Returns what failed for good, the first of it; else what failed last. Empty for nothing."""
    failed = [one for one in said if one.topic[2] == "failed"]
    return next((one.text for one in failed if one.topic[3] == "for good"), failed[-1].text if failed else "")


def span(time: timedelta) -> str:
    """Returns a length of time in words; KFP's are whole seconds.

    >>> span(timedelta(seconds=24)), span(timedelta(seconds=83))
    ('24 s', '1 min 23 s')
    """
    seconds = max(time.total_seconds(), 0.0)
    return f"{seconds:.0f} s" if seconds < 60 else duration(seconds)


def clock(time: datetime, now: datetime) -> str:
    """Returns the time of day here, with its date where that is not today's."""
    here, today = time.astimezone(), now.astimezone()
    return f"{here:%H:%M:%S}" if here.date() == today.date() else f"{here:%Y-%m-%d %H:%M:%S}"
