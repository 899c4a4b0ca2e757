"""Reads what a pipeline run came to from MLflow."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from tracking import awaiting, ledger
from tracking.awaiting import Waiting
from tracking.registry import serving
from tracking.runs import children, parent_of
from tracking.store import connect


class Outcome(NamedTuple):
    """Says what a pipeline run came to, by MLflow's word."""

    verdict: str | None
    """`pass`, `fail`, `broken` or `skipped`; None if the run never got one."""
    failed_step: str | None
    error: str | None
    """Error of the failed step, one line."""
    promoted_version: str | None
    """Version of the champion, if this run made it."""
    metrics: Mapping[str, float] = MappingProxyType({})
    """The verdict's numbers, as far as there are."""
    awaiting: Waiting | None = None
    """The run's version, if that awaits approval."""
    unapproved: str | None = None
    """Which version of the run is not approved, and why it no longer can be; None where there is none."""


def outcome(kfp_run: str, model: str) -> Outcome:
    """Returns what the pipeline run `kfp_run` came to.

    Args:
        kfp_run: Id of the pipeline run.
        model: Name of the registered model. The run was promoted if the champion's version carries its id, whatever
            the orchestrator says.
    """
    client = connect()
    parent = parent_of(client, kfp_run)
    if parent is None:
        return Outcome(None, None, None, None)
    run = client.get_run(parent)
    latest: dict[tuple[str, str | None], Any] = {}
    for child in reversed(children(client, parent)):  # oldest first, so that a retry covers the attempt that failed
        if step := child.data.tags.get("step"):
            latest[step, child.data.tags.get("group")] = child
    failed = next((child for child in latest.values() if child.info.status in ("FAILED", "KILLED")), None)
    now = serving(model)
    waits, unapproved = _approval(kfp_run, model)
    return Outcome(
        verdict=run.data.tags.get("verdict"),
        failed_step=failed and failed.data.tags["step"],
        error=failed and failed.data.tags.get("error", failed.data.tags.get("closed")),
        promoted_version=now.version if now is not None and now.kfp_run_id == kfp_run else None,
        metrics=dict(run.data.metrics),
        awaiting=waits,
        unapproved=unapproved,
    )


def _approval(kfp_run: str, model: str) -> tuple[Waiting | None, str | None]:
    log = ledger.read(model)
    asked = [one.entry.to_version for one in log.of_run(kfp_run, "request") if one.entry]
    if not asked or any(one.entry.to_version == asked[-1] for one in log.moves if one.entry):
        return None, None
    if why := awaiting.over(log, asked[-1]):
        return None, f"version {asked[-1]} passed, and was not approved: {why}"
    return awaiting.waiting(log), None
