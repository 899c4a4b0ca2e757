"""Finds why a step waits or has failed, by what Kubernetes says of its pods.

These are the scheduler's, the kubelet's and the containers' own words.
"""

import math
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from pipeline.cluster.findings import NotCheckedError
from pipeline.cluster.kube import Kube, reach
from pipeline.cluster.steps import State

RUN_LABEL = "pipeline/runid"
NODE = "workflows.argoproj.io/node-name"
PHASES: dict[str, State] = {"Pending": "pending", "Running": "running", "Succeeded": "done", "Failed": "failed"}
STARTING = ("ContainerCreating", "PodInitializing")
"""Reasons that say nothing; an event may say more."""
PULLING = ("ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName", "RegistryUnavailable")
MAIN = "main"
"""Name of the step's own container; those around it are Argo's and KFP's."""
EMPTY_SECONDS = 60.0
"""Longest time that a run may have no pod at all: its first one comes some seconds after its start."""
AGAIN_SECONDS = 60.0
"""Time that the Kubernetes API is left alone after it did not answer: asking takes longer then than steps to change."""
OUT_OF_MEMORY, DELETED = "OOMKilled", "pod deleted"


class Reason(NamedTuple):
    """Holds why something is as it is."""

    kind: str
    """Kind of reason; one kind for reasons that come and go in turns, like the errors of an image that cannot be
    pulled."""
    text: str


class Pods:
    """Holds a run's pods as they are now, and as they were last seen.

    Where they cannot be read, one note says so.
    """

    def __init__(self, namespace: str, run: str, note: Callable[[str], None]):
        self.namespace, self.run, self.note = namespace, run, note
        self.kube: Kube | None = None
        self.answered = False
        self.there: dict[str, Any] = {}
        """By the full name of the workflow's node."""
        self.seen: dict[str, Any] = {}
        self.not_before = 0.0
        """By the clock that time.monotonic reads, when to ask again."""
        self.noted: set[str] = set()
        self.empty_since: float | None = None

    def look(self, live: bool) -> None:
        """Reads the pods; `live`: the run goes on, so that there should be some."""
        self.there = {}
        if time.monotonic() < self.not_before:
            return
        try:
            kube = self.kube or reach()
            call, what = kube.core.list_namespaced_pod, f"pods of {self.namespace}"
            listed = kube.get(call, what, self.namespace, label_selector=f"{RUN_LABEL}={self.run}")
        except NotCheckedError as error:
            self._note(f"why steps wait or fail is not shown: {error.why}")
            self.kube = None  # whose token may have expired
            self.not_before = time.monotonic() + AGAIN_SECONDS if self.answered else math.inf
            return
        self.kube, self.answered = kube, True
        pods = sorted(listed.items if listed else [], key=lambda pod: str(pod.metadata.creation_timestamp))
        self.there = {node: pod for pod in pods if (node := (pod.metadata.annotations or {}).get(NODE))}
        self.seen |= self.there
        self.empty_since = None if self.seen else self.empty_since or time.monotonic()
        if live and self.empty_since is not None and time.monotonic() - self.empty_since >= EMPTY_SECONDS:
            where = f"namespace {self.namespace} of the current kubeconfig's cluster"
            self._note(f"why steps wait or fail is not shown: {where} has no pod of this run")

    def states(self) -> dict[str, State]:
        """Returns what the pods do, by the node."""
        return {node: PHASES[pod.status.phase] for node, pod in self.there.items() if pod.status.phase in PHASES}

    def waits(self, node: str) -> Reason | None:
        """Returns what the node's pod waits for; None where that is only to be started, or not known."""
        if (pod := self.there.get(node)) is not None:
            return _unscheduled(pod) or _held_up(pod) or self._event(pod)
        return (
            Reason("no pod", "Kubernetes has no pod for it: a quota may be used up, or it was deleted")
            if self.there
            else None
        )

    def failed(self, node: str) -> str:
        """Returns why the node's pod failed; empty where nothing says it."""
        if (pod := self.seen.get(node)) and (said := _ending(pod)):
            return said
        # Where pods stay when they have finished, one that is not there was removed before it had.
        kept = any(pod.status.phase in ("Succeeded", "Failed") for pod in self.there.values())
        return DELETED if node and kept and node not in self.there else ""

    def _event(self, pod: Any) -> Reason | None:
        """Returns what was last told of the pod, where that is an image's pull or what went wrong."""
        assert self.kube is not None
        call, what = self.kube.core.list_namespaced_event, f"events of {self.namespace}"
        try:
            listed = self.kube.get(call, what, self.namespace, field_selector=f"involvedObject.uid={pod.metadata.uid}")
        except NotCheckedError as error:
            self._note(f"not all that pods wait for is shown: {error.why}")
            return None
        newest = max(listed.items if listed else [], key=_told, default=None)
        if newest is None:
            return None
        if newest.reason == "FailedScheduling":
            return _reason(_first_sentence(newest.message))
        if newest.reason == "Pulling":
            return _reason((newest.message or newest.reason).replace("Pulling", "pulling", 1))
        return _reason(newest.reason, newest.message) if newest.type == "Warning" else None

    def _note(self, text: str) -> None:
        if text not in self.noted:
            self.noted.add(text)
            self.note(text)


def _unscheduled(pod: Any) -> Reason | None:
    for condition in pod.status.conditions or []:
        if condition.type == "PodScheduled" and condition.status == "False" and condition.message:
            return _reason(_first_sentence(condition.message))
    return None


def _held_up(pod: Any) -> Reason | None:
    """Returns what the kubelet waits for before it starts a container."""
    for status in _statuses(pod):
        waiting = status.state.waiting if status.state else None
        if waiting and waiting.reason and waiting.reason not in STARTING:
            pulling = waiting.reason in PULLING
            told = _reason(waiting.reason, waiting.message or (status.image if pulling else ""))
            return Reason("image", told.text) if pulling else told
    return None


def _ending(pod: Any) -> str:
    """Returns what ended the pod: want of memory, the kubelet or the scheduler, who deleted it, or its container."""
    ended = [(status, status.state.terminated) for status in _statuses(pod) if status.state and status.state.terminated]
    for status, how in ended:
        if how.reason == OUT_OF_MEMORY:
            return f"{_whose(status)}{OUT_OF_MEMORY}{_limit(pod, status)}"
    if pod.status.reason:
        return _reason(pod.status.reason, pod.status.message).text
    for condition in pod.status.conditions or []:
        if condition.type == "DisruptionTarget" and condition.status == "True":
            return _reason(condition.reason, condition.message).text
    if pod.metadata.deletion_timestamp:
        return DELETED
    for status, how in ended:
        if how.exit_code:
            told = (
                _exit(how.exit_code)
                if how.reason in (None, "Error", "Completed")
                else _reason(how.reason, how.message).text
            )
            return f"{_whose(status)}{told}"
    return ""


def _statuses(pod: Any) -> Iterator[Any]:
    """Returns the statuses of its containers, the step's own first."""
    statuses = [*(pod.status.init_container_statuses or []), *(pod.status.container_statuses or [])]
    yield from sorted(statuses, key=lambda status: status.name != MAIN)


def _whose(status: Any) -> str:
    return "" if status.name == MAIN else f"container {status.name}: "


def _limit(pod: Any, status: Any) -> str:
    """Returns the container's limit on memory, from its spec or what the kubelet says it has."""
    containers = [*(pod.spec.init_containers or []), *pod.spec.containers] if pod.spec else []
    for resources in [*(one.resources for one in containers if one.name == status.name), status.resources]:
        if resources and (limit := (resources.limits or {}).get("memory")):
            return f" (its limit is {limit})"
    return ""


def _exit(code: int) -> str:
    killed = {128 + number: f" ({number.name})" for number in signal.Signals}
    return f"exit code {code}{killed.get(code, '')}"


def _told(event: Any) -> str:
    """Returns when an event was last told, as text that sorts."""
    return str(event.last_timestamp or event.event_time or event.first_timestamp or event.metadata.creation_timestamp)


def _first_sentence(message: str | None) -> str:
    """Returns the scheduler's count of nodes; what follows is on preemption and says it again."""
    return (message or "").partition(". ")[0].rstrip(".")


def _reason(*parts: str | None) -> Reason:
    text = " ".join(": ".join(part for part in parts if part).split())
    return Reason(text, text)
