"""An overlay in a cluster: its pods with those of KFP, strangers, and what is outside.

It knows who wants to call whom, as pods and ports.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from pathlib import Path

import yaml

from pipeline.policy import STEP_LABEL
from tests.integration.k8s.containers import Document, containers, find
from tests.integration.k8s.flows import Cluster, End, behind, pods

HERE = Path(__file__).parent
KUBEFLOW, PLATFORM = (
    [*yaml.safe_load_all((HERE / name).read_text())] for name in ("kubeflow.yaml", "kubeflow_platform.yaml")
)

NODE = End("node", "192.168.0.10")
"""The API server listens here, and so does the kubelet."""
DATABASE = End("database", "10.20.0.5")
INTERNET = End("internet", "203.0.113.7")
OUTSIDE = [NODE, DATABASE, INTERNET, End("cloud-metadata", "169.254.169.254")]
API_PORTS = [443, 6443, 8443]
"""Of API servers, behind port 443 of the service: managed ones, those of kubeadm and most others, minikube's."""
OTHER_PORTS = [22, 80, 443, 5432, 6443, 8443, 10250]
"""Besides those that any pod or service listens on."""

Flow = tuple[str, str, int, str]
"""From, to, the port there, and the protocol."""


@dataclass(frozen=True)
class World:
    """What an overlay makes of a cluster that has KFP."""

    documents: list[Document]
    runs: str
    """The namespace of the runs."""
    policies: list[Document]

    @cached_property
    def cluster(self) -> Cluster:
        labels: dict[str, dict[str, str]] = {name: {} for name in ("kube-system", "kubeflow", "elsewhere")}
        labels["finest"] = find(self.documents, "Namespace", "finest")["metadata"]["labels"]
        labels["ingress-nginx"] = {"finest-ingress": "true"}
        labels["team-a"] = {"app.kubernetes.io/part-of": "kubeflow-profile"}
        labels[self.runs]["finest-runs"] = "true"
        return Cluster(
            {name: {"kubernetes.io/metadata.name": name} | more for name, more in labels.items()}, self.policies
        )

    @cached_property
    def ours(self) -> list[End]:
        """All that our policies are about."""
        step = End("step", "10.244.2.1", self.runs, dict([STEP_LABEL]))
        return [*pods(self.documents, 1), step, End("unlabelled", "10.244.2.2", "finest")]

    @cached_property
    def others(self) -> list[End]:
        """KFP and all else.

        Some look like one of ours, or like a server, in another namespace; one is a neighbour of the cluster's DNS.
        """
        clients = {"access-mlflow": "true", "access-database": "true", "access-storage": "true"} | dict([STEP_LABEL])
        kubeflow = [*pods(KUBEFLOW, 100)]
        servers = [end for end in [*self.ours, *kubeflow] if end.ports or end.namespace == "kubeflow"]
        return [
            *kubeflow,
            End("driver", "10.244.2.3", self.runs),
            End("ingress", "10.244.2.4", "ingress-nginx"),
            End("stranger", "10.244.2.5", "elsewhere"),
            End("like-a-step", "10.244.2.6", "elsewhere", clients),
            *(replace(end, name=f"like-{end.name}", namespace="elsewhere") for end in servers),
            End("kube-proxy", "10.244.2.7", "kube-system"),
            *OUTSIDE,
        ]

    @cached_property
    def ends(self) -> dict[str, End]:
        return {end.name: end for end in [*self.ours, *self.others]}

    def address(self, what: str) -> str:
        """Host and port, as the overlay's settings say."""
        settings: dict[str, str] = find(self.documents, "ConfigMap", "endpoints")["data"]
        store = settings.get("AWS_ENDPOINT_URL", f"https://s3.{settings['AWS_REGION']}.amazonaws.com:443")
        said = {
            "database": f"{settings['PGHOST']}:{settings['PGPORT']}",
            "store": store,
            "mlflow": settings["MLFLOW_TRACKING_URI"],
            "webhook": "chat.example.com:443",
            "names": "kube-dns.kube-system:53",
        }
        return said.get(what, what).split("://")[-1]

    def reached(self, what: str) -> list[tuple[End, int, str]]:
        """The pods or outside addresses that an address leads to, and the ports that they listen on."""
        if what == "kubernetes":
            return [(NODE, port, "TCP") for port in API_PORTS]
        host, port = self.address(what).split(":")
        if host.endswith(".com"):
            return [(DATABASE if what == "database" else INTERNET, int(port), "TCP")]
        return behind([*self.documents, *KUBEFLOW], self.ends.values(), host, int(port))

    def flows(self, needs: Mapping[str, Sequence[str]]) -> Iterator[Flow]:
        """All that is needed by those who are there."""
        for source in needs.keys() & self.ends.keys():
            for end, port, protocol in (found for what in needs[source] for found in self.reached(what)):
                yield source, end.name, port, protocol

    def closed(self, flows: Iterable[Flow]) -> list[Flow]:
        """Those that do not get from end to end."""
        return [flow for flow in flows if not self.cluster.is_open(self.ends[flow[0]], self.ends[flow[1]], *flow[2:])]

    def all_that(
        self, passes: Callable[[End, End, int, str], bool], sources: Iterable[End], targets: Iterable[End]
    ) -> set[Flow]:
        """Of everything that can be tried from a source to a target, what passes."""
        there = [*self.documents, *KUBEFLOW]
        listened = {
            port["containerPort"] for one in there for part in containers(one) for port in part.get("ports", [])
        }
        served = {port["port"] for one in there if one["kind"] == "Service" for port in one["spec"]["ports"]}
        tried = product(sources, targets, sorted(listened | served | {*OTHER_PORTS}), ("TCP", "UDP"))
        return {
            (a.name, b.name, port, protocol)
            for a, b, port, protocol in tried
            if a is not b and passes(a, b, port, protocol)
        }
