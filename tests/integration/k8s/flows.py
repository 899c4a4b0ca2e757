"""Which connections NetworkPolicies leave open, by the rules of Kubernetes, and where a service's port leads.

A policy sees pods and the ports they listen on, never a service. What comes from a node (a kubelet's probe,
`kubectl port-forward`) is subject to none.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network

from tests.integration.k8s.containers import Document, containers, pod_labels, pod_spec


@dataclass(frozen=True, eq=False)
class End:
    """A pod, or an address outside of the cluster, which has no namespace."""

    name: str
    address: str
    namespace: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    ports: Mapping[str, int] = field(default_factory=dict)
    """Those that have a name."""


@dataclass(frozen=True)
class Cluster:
    """Namespaces with their labels, and the policies in them."""

    namespaces: Mapping[str, Mapping[str, str]]
    policies: Sequence[Document]

    def is_open(self, source: End, target: End, port: int, protocol: str = "TCP") -> bool:
        """Whether a connection to a port of the target is let out by its source and in by its target."""
        return self.is_let_out(source, target, port, protocol) and self.is_let_in(source, target, port, protocol)

    def is_let_out(self, source: End, target: End, port: int, protocol: str = "TCP") -> bool:
        return self._passes("Egress", source, target, target, port, protocol)

    def is_let_in(self, source: End, target: End, port: int, protocol: str = "TCP") -> bool:
        return self._passes("Ingress", target, source, target, port, protocol)

    def _passes(self, direction: str, pod: End, peer: End, target: End, port: int, protocol: str) -> bool:
        policies = [one for one in self.policies if direction in directions(one) and self._is_about(one, pod)]
        rules = [
            (one["metadata"]["namespace"], rule) for one in policies for rule in one["spec"].get(direction.lower(), [])
        ]
        side = "to" if direction == "Egress" else "from"
        return not policies or any(
            self._names_peer(rule.get(side), peer, namespace) and names_port(rule.get("ports"), target, port, protocol)
            for namespace, rule in rules
        )

    def _is_about(self, policy: Document, pod: End) -> bool:
        return pod.namespace == policy["metadata"]["namespace"] and matches(policy["spec"]["podSelector"], pod.labels)

    def _names_peer(self, peers: list[Document] | None, end: End, namespace: str) -> bool:
        return not peers or any(self._is(peer, end, namespace) for peer in peers)

    def _is(self, peer: Document, end: End, namespace: str) -> bool:
        if block := peer.get("ipBlock"):
            return is_within(block["cidr"], end) and not any(is_within(part, end) for part in block.get("except", []))
        if "namespaceSelector" in peer:
            there = end.namespace in self.namespaces and matches(
                peer["namespaceSelector"], self.namespaces[end.namespace]
            )
        else:
            there = end.namespace == namespace
        return there and matches(peer.get("podSelector", {}), end.labels)


def directions(policy: Document) -> list[str]:
    return list(policy["spec"].get("policyTypes", ["Ingress", "Egress"] if "egress" in policy["spec"] else ["Ingress"]))


def is_within(cidr: str, end: End) -> bool:
    """A pod's address counts too: whether it does is up to the network plugin."""
    return ip_address(end.address) in ip_network(cidr)


def names_port(ports: list[Document] | None, target: End, port: int, protocol: str) -> bool:
    return not ports or any(one.get("protocol", "TCP") == protocol and is_port(one, target, port) for one in ports)


def is_port(one: Document, target: End, port: int) -> bool:
    first: int | str = one.get("port", port)
    if isinstance(first, str):
        return target.ports.get(first) == port
    return bool(first <= port <= one.get("endPort", first))


def matches(selector: Document, labels: Mapping[str, str]) -> bool:
    """Whether a label selector selects these labels; an empty one selects all."""
    tests = {
        "In": lambda one: labels.get(one["key"]) in one["values"],
        "NotIn": lambda one: labels.get(one["key"]) not in one["values"],
        "Exists": lambda one: one["key"] in labels,
        "DoesNotExist": lambda one: one["key"] not in labels,
    }
    wanted = selector.get("matchLabels", {}).items() <= labels.items()
    return wanted and all(tests[one["operator"]](one) for one in selector.get("matchExpressions", []))


def pods(documents: Iterable[Document], first: int) -> Iterator[End]:
    """A pod of each workload, with addresses from 10.244.0.`first` on."""
    workloads = [one for one in documents if pod_spec(one)]
    for number, workload in enumerate(workloads, first):
        named = {
            port["name"]: port["containerPort"]
            for one in containers(workload)
            for port in one.get("ports", [])
            if "name" in port
        }
        about = workload["metadata"]
        yield End(about["name"], f"10.244.0.{number}", about["namespace"], pod_labels(workload), named)


def behind(documents: Iterable[Document], ends: Iterable[End], host: str, port: int) -> list[tuple[End, int, str]]:
    """The pods that a service's port leads to, the port that they listen on, and the protocol.

    `host` is like name.namespace.svc.
    """
    name, namespace = host.split(".")[:2]
    services = [one for one in documents if one["kind"] == "Service" and one["metadata"]["namespace"] == namespace]
    spec = next(one["spec"] for one in services if one["metadata"]["name"] == name)
    chosen = [end for end in ends if end.namespace == namespace and spec["selector"].items() <= end.labels.items()]
    found = [(one.get("targetPort", port), one.get("protocol", "TCP")) for one in spec["ports"] if one["port"] == port]
    assert chosen and found, f"nothing is behind {host}:{port}"
    return [(end, end.ports[to] if isinstance(to, str) else to, protocol) for end in chosen for to, protocol in found]
