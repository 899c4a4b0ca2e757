"""Asks the Kubernetes API what became of this run's pods.

A container that was killed as a whole for want of memory cannot say so itself.
"""

import logging
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from urllib3.exceptions import HTTPError

from components import events
from finest import causes, patience
from finest.errors import UnavailableError
from tracking.runs import kfp_run_id

NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
"""File with the namespace that a pod is in."""
RUN_LABEL, NODE = "pipeline/runid", "workflows.argoproj.io/node-name"
"""Label of a pod with its run's id, and annotation with the full name of its node in the workflow."""
STEP = re.compile(r"(?:iterations\((?P<group>\d+):.*?)?\.(?P<step>[a-z]+)\(\d+\)\.executor(?:\(\d+\))?$")
"""Pattern of the end of a node's full name: the round of the loop that it is in, and the step."""
OUT_OF_MEMORY = "OOMKilled"
"""Reason that Kubernetes gives where a container was killed for want of memory."""
MEMORY_OF = {
    **dict.fromkeys(("champion", "calibrate", "pretrain", "finetune", "tune", "cell"), "placement.memory"),
    **dict.fromkeys(("ingest", "perturb", "gate", "promote", "recommend", "grid", "tabulate"), "placement.data_memory"),
}
"""Config key of a step's memory, where it is not `placement.small_memory`."""
SECONDS = 5, 15
"""Longest times that a connection and an answer may take."""
LONGEST_SECONDS = 60.0
"""Longest time that the API may be away: its answer is worth no more waiting."""

logger = logging.getLogger(__name__)


def explained(step: str, group: str | None, least: int = 1) -> str | None:
    """Returns a line for a step whose pods were killed for want of memory, or None.

    Args:
        step: Name of the step.
        group: Id of the group that it trains, if any.
        least: Number of pods of this run that must have been killed.
    """
    if events.VARIABLE in os.environ or not NAMESPACE.exists():
        return None
    limits = [limit for pod in _pods() if _is_of(pod, step, group) for limit in _short_of_memory(pod)]
    if len(limits) < least:
        return None
    times = "" if len(limits) == 1 else f" {len(limits)} times"
    return (
        f"out of memory{times}: {limits[-1]}, the limit of its container ({OUT_OF_MEMORY}), is too little; "
        f"raise {memory_key(step)}"
    )


def memory_key(step: str) -> str:
    """Returns the config key of a step's memory."""
    return MEMORY_OF.get(step, "placement.small_memory")


def _is_of(pod: Any, step: str, group: str | None) -> bool:
    """Tells whether the pod is one of the step's; outside of a loop there is no group in its name."""
    found = STEP.search((pod.metadata.annotations or {}).get(NODE, ""))
    return found is not None and found["step"] == step and found["group"] in (group, None)


def _short_of_memory(pod: Any) -> Iterator[str]:
    """Yields the memory limits of the pod's containers that were killed for want of memory."""
    for status in pod.status.container_statuses or []:
        ended = status.state and status.state.terminated
        if ended and ended.reason == OUT_OF_MEMORY and ended.exit_code:
            asked = {one.name: one.resources for one in pod.spec.containers} if pod.spec else {}
            resources = status.resources or asked.get(status.name)
            yield str(((resources.limits if resources else None) or {}).get("memory", "all of its node's memory"))


def _pods() -> list[Any]:
    """Returns this run's pods, oldest first; none where they cannot be read, with a line in the log that says why."""
    import kubernetes
    from kubernetes.client.exceptions import ApiException

    try:
        configuration = kubernetes.client.Configuration()
        kubernetes.config.load_incluster_config(client_configuration=configuration)
        configuration.retries = 1
        ask = kubernetes.client.CoreV1Api(kubernetes.client.ApiClient(configuration)).list_namespaced_pod
        label = f"{RUN_LABEL}={kfp_run_id()}"
        with patience.at_most(LONGEST_SECONDS):
            listed = patience.patiently(
                "the Kubernetes API",
                lambda: ask(NAMESPACE.read_text().strip(), label_selector=label, _request_timeout=SECONDS),
                _passing,
            )
    except ApiException as error:
        logger.warning("why pods of this run have failed is not known: the Kubernetes API answers %s", error.status)
        return []
    except (kubernetes.config.ConfigException, UnavailableError, HTTPError, OSError) as error:
        logger.warning("why pods of this run have failed is not known: %s", _passing(error) or error)
        return []
    return sorted(listed.items, key=lambda pod: str(pod.metadata.creation_timestamp))


def _passing(error: BaseException) -> str | None:
    return causes.find(error).words if isinstance(error, (HTTPError, OSError)) else None
