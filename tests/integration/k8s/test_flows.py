"""Every connection that the installation needs is open from end to end, and no other: our policies beside those of KFP."""

import re
import shutil
import subprocess
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from pathlib import Path

import pytest
import yaml

from pipeline.policy import STEP_LABEL
from tests.integration.k8s.conftest import K8S, ROOT, kustomize
from tests.integration.k8s.containers import Document, containers, find
from tests.integration.k8s.flows import Cluster, End, behind, pods

HERE = Path(__file__).parent
KUBEFLOW, PLATFORM = ([*yaml.safe_load_all((HERE / name).read_text())] for name in ("kubeflow.yaml", "kubeflow_platform.yaml"))

NODE = End("node", "192.168.0.10")
"""The API server listens here, and so does the kubelet."""
DATABASE = End("database", "10.20.0.5")
INTERNET = End("internet", "203.0.113.7")
METADATA = End("cloud-metadata", "169.254.169.254")
OUTSIDE = [NODE, DATABASE, INTERNET, METADATA]
API_PORTS = [443, 6443, 8443]
"""Of API servers, behind port 443 of the service: managed ones, those of kubeadm and most others, minikube's."""

KFP = [
    "ml-pipeline.kubeflow:8887", "ml-pipeline.kubeflow:8888", "metadata-grpc-service.kubeflow:8080",
    "seaweedfs.kubeflow:9000", "minio-service.kubeflow:9000",
]  # fmt: skip
"""As KFP configures its launcher and driver, and Argo its sidecar; a step asks KFP for the schedule's time and for cancellation."""
NEEDS = {
    "mlflow": ["database", "store"],
    "backup": ["database", "store"],
    "restore": ["database", "store"],
    "migrate": ["database"],
    "users": ["mlflow"],
    "watch": ["mlflow", "webhook"],
    "step": ["mlflow", "store", "webhook", "kubernetes", *KFP],
    "ingress": ["mlflow"],
}  # fmt: skip
"""Who calls what, beside names, for which all of ours may ask."""
DRIVER = ["kubernetes", "store", *KFP]
"""KFP's own pod: it has no label of ours, and nothing of ours holds it back."""
OTHER_PORTS = [22, 80, 443, 5432, 6443, 8443, 10250]
"""Besides those that any pod or service listens on."""

Flow = tuple[str, str, int, str]
"""From, to, the port there, and the protocol."""


@dataclass(frozen=True)
class World:
    """An overlay in a cluster: with KFP, an ingress controller, strangers and what is outside."""

    documents: list[Document]
    runs: str
    """The namespace of the runs."""
    policies: list[Document]

    @cached_property
    def cluster(self) -> Cluster:
        labels: dict[str, dict[str, str]] = {name: {} for name in ("kube-system", "kubeflow", "ingress-nginx", "elsewhere")}
        labels["finest"] = find(self.documents, "Namespace", "finest")["metadata"]["labels"]
        labels["ingress-nginx"] = {"finest-ingress": "true"}
        labels.setdefault("team-a", {})["app.kubernetes.io/part-of"] = "kubeflow-profile"
        labels[self.runs]["finest-runs"] = "true"
        return Cluster({name: {"kubernetes.io/metadata.name": name} | more for name, more in labels.items()}, self.policies)

    @cached_property
    def ours(self) -> list[End]:
        """All that our policies are about; a pod that asks for nothing is let do nothing."""
        step = End("step", "10.244.2.1", self.runs, dict([STEP_LABEL]))
        return [*pods(self.documents, 1), step, End("unlabelled", "10.244.2.2", "finest")]

    @cached_property
    def others(self) -> list[End]:
        """KFP and all else; what looks like one of ours, or like a server, in a namespace of its own; neighbours of the cluster's DNS."""
        clients = {"access-mlflow": "true", "access-database": "true", "access-storage": "true"} | dict([STEP_LABEL])
        kubeflow = [*pods(KUBEFLOW, 100)]
        servers = [end for end in [*self.ours, *kubeflow] if end.ports or end.namespace == "kubeflow"]
        return [
            *kubeflow, End("driver", "10.244.2.3", self.runs), End("ingress", "10.244.2.4", "ingress-nginx"),
            End("stranger", "10.244.2.5", "elsewhere"), End("like-a-step", "10.244.2.6", "elsewhere", clients),
            *(replace(end, name=f"like-{end.name}", namespace="elsewhere") for end in servers),
            End("kube-proxy", "10.244.2.7", "kube-system"), *OUTSIDE,
        ]  # fmt: skip

    @cached_property
    def ends(self) -> list[End]:
        return [*self.ours, *self.others]

    def end(self, name: str) -> End:
        return next(end for end in self.ends if end.name == name)

    def address(self, what: str) -> str:
        """Host and port, as the overlay's settings say."""
        settings = find(self.documents, "ConfigMap", "endpoints")["data"]
        store = settings.get("AWS_ENDPOINT_URL", f"https://s3.{settings['AWS_REGION']}.amazonaws.com:443")
        said = {
            "database": f"{settings['PGHOST']}:{settings['PGPORT']}", "store": store, "mlflow": settings["MLFLOW_TRACKING_URI"],
            "webhook": "chat.example.com:443", "kubernetes": "kubernetes.default:443", "names": "kube-dns.kube-system:53",
        }  # fmt: skip
        return said.get(what, what).split("://")[-1]

    def reached(self, what: str) -> list[tuple[End, int, str]]:
        """The pods or outside addresses behind a need, and the ports that they listen on."""
        host, port = self.address(what).split(":")
        if what == "kubernetes":
            return [(NODE, number, "TCP") for number in API_PORTS]
        if host.endswith((".com", ".org")):
            return [(DATABASE if what == "database" else INTERNET, int(port), "TCP")]
        return behind([*self.documents, *KUBEFLOW], self.ends, host, int(port))

    def flows(self, needs: dict[str, list[str]]) -> Iterator[Flow]:
        for source, wanted in needs.items():
            for end, port, protocol in (found for what in wanted for found in self.reached(what)):
                yield source, end.name, port, protocol

    def closed(self, flows: Iterable[Flow]) -> list[Flow]:
        return [flow for flow in flows if not self.is_open(flow)]

    def is_open(self, flow: Flow) -> bool:
        source, target, port, protocol = flow
        return self.cluster.is_open(self.end(source), self.end(target), port, protocol)

    def all_that(self, passes: Callable[[End, End, int, str], bool], sources: list[End], targets: list[End]) -> set[Flow]:
        """Of all that could be tried from a source to a target, what passes."""
        there = [*self.documents, *KUBEFLOW]
        listened = {port["containerPort"] for one in there for part in containers(one) for port in part.get("ports", [])}
        served = {port["port"] for one in there if one["kind"] == "Service" for port in one["spec"]["ports"]}
        tried = product(sources, targets, sorted(listened | served | {*OTHER_PORTS}), ("TCP", "UDP"))
        return {(a.name, b.name, port, protocol) for a, b, port, protocol in tried if a is not b and passes(a, b, port, protocol)}

    @cached_property
    def needed(self) -> set[Flow]:
        names = {end.name: ["names"] for end in self.ours if end.name != "gpu-check"}
        return {*self.flows(NEEDS), *self.flows(names)}

    @cached_property
    def needed_somewhere(self) -> set[Flow]:
        """What is let out by address, since the other end has no fixed one; a pod's address is one too, whoever is there."""
        found = {("step", end.name, port, "TCP") for end in self.ends for port in API_PORTS}
        found |= {("watch", end.name, 443, "TCP") for end in self.ends}
        if self.address("database").endswith(".com:5432"):
            private = [end.name for end in self.ends if end.address.startswith("10.")]
            found |= {(one, end, 5432, "TCP") for one in ("mlflow", "backup", "restore", "migrate") for end in private}
            found |= {(one, end.name, 443, "TCP") for one in ("mlflow", "backup", "restore") for end in self.ends}
        return {flow for flow in found if flow[0] != flow[1]}

    @cached_property
    def needed_by_kfp(self) -> set[Flow]:
        """What is let in to read and write pipeline roots, where the store is ours."""
        runs = [end.name for end in self.ends if end.namespace == self.runs]
        return {flow for name in runs for flow in self.flows({name: ["store"]}) if flow[1] == "s3"}


@pytest.fixture(scope="module", params=["dev", "prod"])
def overlay(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module", params=["kubeflow", "team-a"])
def world(request: pytest.FixtureRequest, overlay: str, tools: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> World:
    """An overlay with the check of GPUs; for many users, after the change that the guide asks for."""
    folder = tmp_path_factory.mktemp("checkout")
    shutil.copytree(K8S, folder / "k8s")
    if request.param != "kubeflow":
        guide = (ROOT / "docs" / "cluster.md").read_text()
        change = re.search(r"^sed -i 's/\^namespace: kubeflow/namespace: team-a/'.*$", guide, re.MULTILINE)
        assert change
        subprocess.run(["bash", "-c", change[0]], cwd=folder, check=True)
    documents = [one for name in (overlay, "gpu") for one in kustomize(tools, folder / "k8s" / "overlays" / name)]
    policies = [one for one in [*documents, *KUBEFLOW] if one["kind"] == "NetworkPolicy"]
    return World(documents, request.param, policies)


def test_everything_that_is_needed_is_open_from_end_to_end(world: World) -> None:
    assert world.closed([*world.needed, *world.flows({"driver": [*DRIVER, "names"]})]) == []


def test_it_is_open_too_where_the_platform_puts_policies_around_kfp(world: World) -> None:
    within = World(world.documents, world.runs, [*world.policies, *PLATFORM])
    assert within.closed([*within.needed, *within.flows({"driver": [*DRIVER, "names"]})]) == []


def test_nothing_else_is_let_out_of_a_pod(world: World) -> None:
    out = world.all_that(world.cluster.is_let_out, world.ours, world.ends)
    assert sorted(out - world.needed - world.needed_somewhere) == []


def test_nothing_else_is_let_into_a_pod(world: World) -> None:
    let_in = world.all_that(world.cluster.is_let_in, world.ends, world.ours)
    assert sorted(let_in - world.needed - world.needed_by_kfp) == []


def test_the_example_of_an_ingress_lets_the_challenge_for_its_certificate_in(rendered: Callable[[str], list[Document]]) -> None:
    example = [*yaml.safe_load_all((ROOT / "docs" / "examples" / "k8s" / "ingress.yaml").read_text())]
    policies = [one for one in [*rendered("prod"), *example] if one["kind"] == "NetworkPolicy"]
    cluster = Cluster({"finest": {}, "ingress-nginx": {"finest-ingress": "true"}, "elsewhere": {}}, policies)
    solver = End("solver", "10.244.3.1", "finest", {"acme.cert-manager.io/http01-solver": "true"})
    controller, stranger = End("controller", "10.244.3.2", "ingress-nginx"), End("stranger", "10.244.3.3", "elsewhere")
    assert [port for port in (80, 5000, 8089) if cluster.is_open(controller, solver, port)] == [8089]
    assert not cluster.is_open(stranger, solver, 8089)


POLICY = """
metadata: {namespace: shop}
spec:
  podSelector: {matchLabels: {app: client}}
  policyTypes: [Egress]
  egress: [RULE]
"""
CLIENT = End("client", "10.0.0.1", "shop", {"app": "client"})
STORE = End("store", "10.0.0.2", "back", {"app": "store"}, {"s3": 8333})


@pytest.mark.parametrize(
    ("rule", "opened"),
    [
        ("", set()),
        ("{}", {("store", 8333), ("store", 9000), ("internet", 8333), ("internet", 9000)}),
        ("{ports: [{port: 9000}]}", {("store", 9000), ("internet", 9000)}),
        ("{ports: [{port: s3}]}", {("store", 8333)}),
        ("{ports: [{port: 8000, endPort: 8999}]}", {("store", 8333), ("internet", 8333)}),
        ("{ports: [{port: 8333, protocol: UDP}]}", set()),
        ("{to: [{podSelector: {matchLabels: {app: store}}}]}", set()),  # of its own namespace
        ("{to: [{namespaceSelector: {matchLabels: {tier: back}}, podSelector: {matchLabels: {app: other}}}]}", set()),
        ("{to: [{namespaceSelector: {matchLabels: {tier: back}}}], ports: [{port: 8333}]}", {("store", 8333)}),
        ("{to: [{namespaceSelector: {matchExpressions: [{key: tier, operator: NotIn, values: [back]}]}}]}", set()),
        ("{to: [{ipBlock: {cidr: 0.0.0.0/0, except: [10.0.0.0/8]}}], ports: [{port: 9000}]}", {("internet", 9000)}),
    ],
)
def test_a_rule_opens_what_it_says(rule: str, opened: set[tuple[str, int]]) -> None:
    cluster = Cluster({"shop": {}, "back": {"tier": "back"}}, [yaml.safe_load(POLICY.replace("RULE", rule))])
    assert {(end.name, port) for end in (STORE, INTERNET) for port in (8333, 9000) if cluster.is_open(CLIENT, end, port)} == opened
    assert cluster.is_open(STORE, CLIENT, 22)  # of which no policy speaks


def test_both_ends_must_agree() -> None:
    closed = {"metadata": {"namespace": "back"}, "spec": {"podSelector": {}, "ingress": [{"from": [{"podSelector": {}}]}]}}
    assert not Cluster({"shop": {}, "back": {}}, [closed]).is_open(CLIENT, STORE, 8333)
    assert Cluster({"shop": {}, "back": {}}, [closed]).is_open(End("neighbour", "10.0.0.3", "back"), STORE, 8333)
