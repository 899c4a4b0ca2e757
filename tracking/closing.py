"""Ends MLflow runs that no step ends: parents, and what lost processes have left open. None stays RUNNING."""

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from tracking.describe import log_tags
from tracking.runs import KFP_RUN, Status, children, find_parent, name_ending
from tracking.store import connect, find_runs

if TYPE_CHECKING:
    from mlflow import MlflowClient

LOST = "its process ended without closing it"


def close_steps(why: Callable[[str, str | None], str | None] = lambda step, group: None) -> None:
    """Ends as KILLED what steps have left open whose process was lost.

    Args:
        why: Gets a step's name and group; returns what is known of its end, or None.
    """
    client, parent = connect(), find_parent()
    _close_children(client, parent, LOST, why)


def close_parent(status: Status) -> None:
    """Ends the parent, and what steps have left open."""
    close_steps()
    client, parent = connect(), find_parent()
    if status != "FINISHED" and "verdict" not in client.get_run(parent).data.tags:
        name_ending(client, parent, "failed" if status == "FAILED" else "cancelled")
    client.set_terminated(parent, status)


def close_left_open(status: Status) -> None:
    """Ends the parent as `close_parent` does, if it is open: the run's last step could not end it."""
    if connect().get_run(find_parent()).info.status == "RUNNING":
        close_parent(status)


def close_dead(is_dead: Callable[[Mapping[str, str]], bool]) -> list[str]:
    """Ends other pipeline runs' parents that are RUNNING though their process is gone, with their children.

    Args:
        is_dead: Tells by a parent's tags (`kfp_run_id` among them) whether its process is gone; it must be sure.

    Returns:
        Ids of the parents that were closed.
    """
    client = connect()
    closed = []
    for run in find_runs(client, "attributes.status = 'RUNNING'"):
        tags = run.data.tags
        if KFP_RUN in tags and tags[KFP_RUN] != os.environ.get("KFP_RUN_ID") and is_dead(tags):
            why = "its pipeline run ended without closing it; closed by the next one"
            _close_children(client, run.info.run_id, why, lambda step, group: None)
            client.set_tag(run.info.run_id, "closed", why)
            if "verdict" not in tags:
                name_ending(client, run.info.run_id, "lost")
            client.set_terminated(run.info.run_id, "KILLED")
            closed.append(run.info.run_id)
    return closed


def _close_children(
    client: "MlflowClient", parent: str, closed: str, why: Callable[[str, str | None], str | None]
) -> None:
    for child in children(client, parent):
        if child.info.status == "RUNNING":
            tags = child.data.tags
            error = why(tags.get("step", ""), tags.get("group"))
            log_tags(client, child.info.run_id, {"closed": closed, **({"error": error} if error else {})})
            client.set_terminated(child.info.run_id, "KILLED")
