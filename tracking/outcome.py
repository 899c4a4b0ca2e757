"""What a pipeline run came to, as MLflow tells it."""

from typing import Any, NamedTuple

from tracking.registry import champion
from tracking.runs import children, parent_of
from tracking.store import connect


class Outcome(NamedTuple):
    """What a pipeline run came to, read from MLflow."""

    verdict: str | None
    """`pass`, `fail` or `skipped`; None where the run never got one."""
    failed_step: str | None
    error: str | None
    """The failed step's error, one line."""
    promoted_version: str | None
    """The champion's version, where it is this run's."""


def outcome(kfp_run: str, model: str) -> Outcome:
    """What the pipeline run `kfp_run` came to; `model` is the registered model's name.

    Promoted means that the champion's version carries the run's id, whatever the orchestrator says.
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
    now = champion(model)
    return Outcome(
        verdict=run.data.tags.get("verdict"),
        failed_step=failed and failed.data.tags["step"],
        error=failed and failed.data.tags.get("error", failed.data.tags.get("closed")),
        promoted_version=now.version if now is not None and now.kfp_run_id == kfp_run else None,
    )
