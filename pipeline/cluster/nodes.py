"""Reads what nodes hold, what of it is taken, and which pods they let in."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from pipeline.cluster.amounts import Amounts, lacking, less, most, read, total
from pipeline.cluster.demand import Pod
from pipeline.cluster.findings import NotCheckedError
from pipeline.cluster.kube import Kube

PASSING = (
    "node.kubernetes.io/",
    "node.cloudprovider.kubernetes.io/",
    "karpenter.sh/",
    "ToBeDeletedByClusterAutoscaler",
)
"""Prefixes of taints that say how a node is just now, and that go with it."""
AUTOSCALERS = {"karpenter.sh": "Karpenter", "autoscaling.x-k8s.io": "the cluster autoscaler"}
"""API groups of what adds nodes when pods wait for them, with its name."""


@dataclass(frozen=True)
class Node:
    """Holds a node as a pod sees it."""

    name: str
    allocatable: Amounts
    always: Amounts = field(default_factory=dict)
    """Amounts that DaemonSets and the node's own pods take of it, whatever else runs."""
    now: Amounts = field(default_factory=dict)
    """Amounts that all pods take that are there now."""
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: tuple[Any, ...] = ()
    by_resource: bool = False
    """Whether the cluster lets pods tolerate the taint of an accelerator that they ask for, as GKE does."""
    away: str = ""
    """Why nothing starts there just now: it is not ready, or closed to new pods; empty where it is open."""

    @property
    def largest(self) -> Amounts:
        """Returns what a pod could ever have there."""
        return less(self.allocatable, self.always)

    @property
    def free(self) -> Amounts:
        """Returns what a pod could have there now."""
        return less(self.allocatable, self.now)

    def refuses(self, pod: Pod) -> str:
        """Returns why the pod never runs there; empty where it may."""
        for key, value in pod.node_selector.items():
            if self.labels.get(key) != value:
                return f"label {key}={value} is missing"
        for taint in self.taints:
            if not taint.key.startswith(PASSING) and not self._tolerated(taint, pod):
                return f"taint {taint.key}{f'={taint.value}' if taint.value else ''}:{taint.effect} is not tolerated"
        return ""

    def closed(self, pod: Pod) -> bool:
        """Tells whether the pod cannot start there now, whatever is free."""
        return bool(self.away or self.refuses(pod) or not all(self._tolerated(taint, pod) for taint in self.taints))

    def _tolerated(self, taint: Any, pod: Pod) -> bool:
        asked = self.by_resource and pod.requests.get(taint.key, Decimal(0)) > 0
        return asked or any(_tolerates(one, taint) for one in pod.tolerations)


def read_nodes(kube: Kube) -> tuple[list[Node], str]:
    """Returns all nodes, and why it is not known what runs on them, where it is not. Raises NotCheckedError."""
    answer = kube.get(kube.core.list_node, "nodes")
    if answer is None:
        raise NotCheckedError("the Kubernetes API knows no nodes", "see `kubectl get nodes`")
    taken: dict[str, list[Any]] = {}
    unknown = ""
    try:
        running = "status.phase!=Succeeded,status.phase!=Failed"
        pods = kube.get(kube.core.list_pod_for_all_namespaces, "pods of all namespaces", field_selector=running)
        for pod in pods.items if pods else []:
            if pod.spec.node_name and (pod.status is None or pod.status.phase not in ("Succeeded", "Failed")):
                taken.setdefault(pod.spec.node_name, []).append(pod)
    except NotCheckedError as error:
        unknown = error.why
    return [_node(node, taken.get(node.metadata.name, [])) for node in answer.items], unknown


def autoscaler(kube: Kube) -> str:
    """Returns what adds nodes to this cluster when pods wait; empty where nothing does. Raises NotCheckedError."""
    groups = kube.get(kube.groups.get_api_versions, "API groups")
    served = {one.name for one in groups.groups} if groups else set()
    if found := next((name for group, name in AUTOSCALERS.items() if group in served), ""):
        return found
    status = "cluster-autoscaler-status", "kube-system"
    return (
        "the cluster autoscaler"
        if kube.get(kube.core.read_namespaced_config_map, "ConfigMaps of kube-system", *status)
        else ""
    )


def place(wanted: Mapping[str, int], pods: Mapping[str, Pod], nodes: Sequence[Node]) -> Counter[str]:
    """Returns how many of the wanted pods find room at the same time on what is free now; the largest are put first."""
    free = {node.name: node.free for node in nodes}
    placed: Counter[str] = Counter()
    for step in sorted(wanted, key=lambda one: pods[one].requests.get("memory", Decimal(0)), reverse=True):
        asked = pods[step].requests
        for node in nodes:
            while placed[step] < wanted[step] and not node.closed(pods[step]) and not lacking(asked, free[node.name]):
                free[node.name] = less(free[node.name], asked)
                placed[step] += 1
    return placed


def nearest(asked: Amounts, have: Mapping[str, Amounts]) -> str:
    """Returns the node that lacks least of what is asked for."""

    def stretch(name: str) -> Decimal:
        there = have[name]
        return max(
            amount / there[kind] if there.get(kind, 0) > 0 else Decimal("Infinity")
            for kind, amount in asked.items()
            if amount
        )

    return min(sorted(have), key=stretch)


def _node(node: Any, pods: list[Any]) -> Node:
    ready = any(condition.type == "Ready" and condition.status == "True" for condition in node.status.conditions or [])
    taints = tuple(taint for taint in node.spec.taints or [] if taint.effect in ("NoSchedule", "NoExecute"))
    return Node(
        name=node.metadata.name,
        allocatable=read(node.status.allocatable),
        always=total(_requested(pod) for pod in pods if _stays(pod)),
        now=total(map(_requested, pods)),
        labels=node.metadata.labels or {},
        taints=taints,
        by_resource=(node.spec.provider_id or "").startswith("gce://"),
        away="not ready" if not ready else "closed to new pods" if node.spec.unschedulable else "",
    )


def _stays(pod: Any) -> bool:
    """Tells whether the pod belongs to the node: a DaemonSet's, or one that the kubelet starts by itself."""
    return any(owner.kind in ("DaemonSet", "Node") for owner in pod.metadata.owner_references or [])


def _requested(pod: Any) -> Amounts:
    """Returns what the scheduler counts for a pod that is there; an init container that stays counts, too."""
    running = [_asked(one) for one in pod.spec.containers]
    beside: list[Amounts] = []
    before: list[Amounts] = []
    for one in pod.spec.init_containers or []:
        if one.restart_policy == "Always":
            beside.append(_asked(one))
        before.append(total([*beside, *([] if one.restart_policy == "Always" else [_asked(one)])]))
    needed = most([total([*running, *beside]), *before])
    return total([needed, read(pod.spec.overhead), {"pods": Decimal(1)}])


def _asked(container: Any) -> Amounts:
    resources = container.resources
    return read(resources.limits) | read(resources.requests) if resources else {}


def _tolerates(toleration: Mapping[str, Any], taint: Any) -> bool:
    if toleration.get("effect") not in (None, "", taint.effect):
        return False
    if toleration.get("operator") == "Exists":
        return toleration.get("key") in (None, "", taint.key)
    return toleration.get("key") == taint.key and (toleration.get("value") or "") == (taint.value or "")
