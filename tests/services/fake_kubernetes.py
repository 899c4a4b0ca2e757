"""As much of the Kubernetes API as we read; what it says are the kubernetes client's own models."""

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import yaml
from kubernetes import client

from tests.services.fake_http import Answer, Request, Server, serving

CODEC = client.ApiClient()
RUN, NODE = "pipeline/runid", "workflows.argoproj.io/node-name"
"""The label and the annotation by which a run's pods are known."""
OWN = "/api/v1/namespaces/[^/]+"
ROOM = {"cpu": "8", "memory": "32Gi", "ephemeral-storage": "100Gi", "pods": "110"}
"""Of a node that nothing else is said of."""


@dataclass
class FakeKubernetes:
    """The cluster's content."""

    nodes: list[client.V1Node] = field(default_factory=list)
    pods: list[client.V1Pod] = field(default_factory=list)
    events: list[client.CoreV1Event] = field(default_factory=list)
    named: dict[tuple[str, str], Any] = field(default_factory=dict)
    """Objects of the one namespace, by plural kind and name."""
    quotas: list[client.V1ResourceQuota] = field(default_factory=list)
    ranges: list[client.V1LimitRange] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)
    """API groups beside Kubernetes' own."""
    forbidden: set[str] = field(default_factory=set)
    """Plural kinds that the user may not read."""
    http: Server = field(default_factory=Server)

    def __post_init__(self) -> None:
        self.http.before = self._authorise
        self.http.routes = [
            ("GET", "/api/v1/nodes", lambda request: self._say(client.V1NodeList(items=self.nodes))),
            ("GET", "/api/v1/pods", lambda request: self._say(client.V1PodList(items=self.pods))),
            (
                "GET",
                "/apis/",
                lambda request: self._say(client.V1APIGroupList(groups=[_group(name) for name in self.groups])),
            ),
            ("GET", f"{OWN}/pods", self._pods),
            ("GET", f"{OWN}/events", self._events),
            ("GET", f"{OWN}/resourcequotas", lambda request: self._say(client.V1ResourceQuotaList(items=self.quotas))),
            ("GET", f"{OWN}/limitranges", lambda request: self._say(client.V1LimitRangeList(items=self.ranges))),
            ("GET", "/api/v1/namespaces/([^/]+)/([a-z]+)/([^/]+)", self._read),
        ]

    def kubeconfig(self, file: Path) -> Path:
        """Writes a kubeconfig that leads here."""
        context = {"cluster": "fake", "user": "fake"}
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "fake",
            "contexts": [{"name": "fake", "context": context}],
            "clusters": [{"name": "fake", "cluster": {"server": self.http.url}}],
            "users": [{"name": "fake", "user": {"token": "fake"}}],
        }
        file.write_text(yaml.safe_dump(content))
        return file

    def add_node(
        self,
        name: str,
        gpus: int = 0,
        taints: list[client.V1Taint] | None = None,
        labels: dict[str, str] | None = None,
        images: list[str] | None = None,
        ready: bool = True,
        closed: bool = False,
        provider: str | None = None,
        **allocatable: str,
    ) -> None:
        """A node; `allocatable` is what differs from ROOM."""
        self.nodes.append(
            client.V1Node(
                metadata=client.V1ObjectMeta(name=name, labels=labels),
                spec=client.V1NodeSpec(taints=taints, unschedulable=closed, provider_id=provider),
                status=client.V1NodeStatus(
                    allocatable=ROOM | allocatable | ({"nvidia.com/gpu": str(gpus)} if gpus else {}),
                    conditions=[client.V1NodeCondition(type="Ready", status="True" if ready else "False")],
                    images=[client.V1ContainerImage(names=images)] if images else None,
                ),
            )
        )

    def add_pod(self, node: str, gpus: int = 0, owner: str = "Job", phase: str = "Running", **requests: str) -> None:
        """A pod that holds a part of a node."""
        asked = requests | ({"nvidia.com/gpu": str(gpus)} if gpus else {})
        container = client.V1Container(
            name="main", resources=client.V1ResourceRequirements(limits=asked, requests=asked)
        )
        reference = client.V1OwnerReference(api_version="v1", kind=owner, name="owner", uid="owner")
        self.pods.append(
            client.V1Pod(
                metadata=client.V1ObjectMeta(name=f"pod-{len(self.pods)}", owner_references=[reference]),
                spec=client.V1PodSpec(node_name=node, containers=[container]),
                status=client.V1PodStatus(phase=phase),
            )
        )

    def add_quota(
        self, name: str, hard: dict[str, str], used: dict[str, str] | None = None, scopes: list[str] | None = None
    ) -> None:
        """A quota of the namespace."""
        spec, status = (
            client.V1ResourceQuotaSpec(hard=hard, scopes=scopes),
            client.V1ResourceQuotaStatus(hard=hard, used=used),
        )
        self.quotas.append(client.V1ResourceQuota(metadata=client.V1ObjectMeta(name=name), spec=spec, status=status))

    def add_range(self, name: str, kind: str = "Container", **limits: dict[str, str]) -> None:
        """Adds a limit range to the namespace: min, max, default, default_request, max_limit_request_ratio.

        As the API server does: a container's limit is its largest and its request its limit, or the least, where
        nothing else is said.
        """
        if kind == "Container":
            limits["default"] = limits.get("max", {}) | limits.get("default", {})
            limits["default_request"] = limits.get("min", {}) | limits["default"] | limits.get("default_request", {})
        spec = client.V1LimitRangeSpec(limits=[client.V1LimitRangeItem(type=kind, **limits)])
        self.ranges.append(client.V1LimitRange(metadata=client.V1ObjectMeta(name=name), spec=spec))

    def add_secret(self, name: str, **values: str) -> None:
        """A Secret."""
        data = {key.replace("__", "."): base64.b64encode(value.encode()).decode() for key, value in values.items()}
        self.named["secrets", name] = client.V1Secret(metadata=client.V1ObjectMeta(name=name), data=data)

    def add_config_map(self, name: str, namespace: str = "", **values: str) -> None:
        """A ConfigMap, of one namespace if given."""
        made = client.V1ConfigMap(metadata=client.V1ObjectMeta(name=name), data=values)
        self.named["configmaps", f"{namespace}/{name}" if namespace else name] = made

    def add_account(self, name: str, *pull_secrets: str) -> None:
        """A ServiceAccount."""
        references = [client.V1LocalObjectReference(name=secret) for secret in pull_secrets]
        metadata = client.V1ObjectMeta(name=name)
        self.named["serviceaccounts", name] = client.V1ServiceAccount(metadata=metadata, image_pull_secrets=references)

    def add_step(
        self, run: str, node: str, phase: str, reason: str | None = None, message: str | None = None, **facts: Any
    ) -> client.V1Pod:
        """The pod of a workflow's node, of which full names are unique; `facts` are further fields of its status."""
        metadata = client.V1ObjectMeta(
            name=f"pod-{len(self.pods)}",
            uid=f"uid-{len(self.pods)}",
            labels={RUN: run},
            annotations={NODE: node},
            creation_timestamp="2026-11-26T16:00:00Z",
        )
        status = client.V1PodStatus(phase=phase, reason=reason, message=message, **facts)
        spec = client.V1PodSpec(containers=[client.V1Container(name="main")])
        self.pods.append(client.V1Pod(metadata=metadata, spec=spec, status=status))
        return self.pods[-1]

    def add_event(self, pod: client.V1Pod, type: str, reason: str, message: str, at: str) -> None:
        """What was told of a pod."""
        about = client.V1ObjectReference(kind="Pod", name=pod.metadata.name, uid=pod.metadata.uid)
        metadata = client.V1ObjectMeta(name=f"event-{len(self.events)}")
        told = client.CoreV1Event(
            metadata=metadata, involved_object=about, type=type, reason=reason, message=message, last_timestamp=at
        )
        self.events.append(told)

    def _pods(self, request: Request) -> Answer:
        key, _, value = request.query["labelSelector"].partition("=")
        labelled = [pod for pod in self.pods if pod.metadata and (pod.metadata.labels or {}).get(key) == value]
        return self._say(client.V1PodList(items=labelled))

    def _events(self, request: Request) -> Answer:
        key, _, value = request.query["fieldSelector"].partition("=")
        assert key == "involvedObject.uid", key
        return self._say(
            client.CoreV1EventList(items=[event for event in self.events if event.involved_object.uid == value])
        )

    def _authorise(self, request: Request) -> Answer | None:
        kind = next((part for part in request.path.split("/") if part in self.forbidden), None)
        return Answer(403, {"message": f"{kind} is forbidden"}) if kind else None

    def _read(self, request: Request, namespace: str, kind: str, name: str) -> Answer:
        found = self.named.get((kind, f"{namespace}/{name}")) or self.named.get((kind, name))
        return self._say(found) if found is not None else Answer(404, {"message": f'{kind} "{name}" not found'})

    @staticmethod
    def _say(model: Any) -> Answer:
        return Answer(200, CODEC.sanitize_for_serialization(model))


def node(pod: client.V1Pod) -> str:
    """Full name of the workflow's node that the pod is of."""
    return str(pod.metadata.annotations[NODE])


def read(content: Any, kind: str) -> Any:
    """A recorded object as the client's own model."""
    return CODEC.deserialize(SimpleNamespace(data=json.dumps(content)), kind)


def _group(name: str) -> client.V1APIGroup:
    return client.V1APIGroup(
        name=name, versions=[client.V1GroupVersionForDiscovery(group_version=f"{name}/v1", version="v1")]
    )


@contextmanager
def serve() -> Iterator[FakeKubernetes]:
    """An empty cluster."""
    fake = FakeKubernetes()
    with serving(fake.http):
        yield fake
