"""Every connection that the installation needs is open from end to end, and no other, with our policies and KFP's."""

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.integration.k8s.conftest import K8S, ROOT, kustomize
from tests.integration.k8s.containers import Document
from tests.integration.k8s.flows import Cluster, End
from tests.integration.k8s.world import API_PORTS, INTERNET, KUBEFLOW, PLATFORM, Flow, World

KFP = [
    "ml-pipeline.kubeflow:8887",
    "ml-pipeline.kubeflow:8888",
    "metadata-grpc-service.kubeflow:8080",
    "seaweedfs.kubeflow:9000",
    "minio-service.kubeflow:9000",
]
"""As KFP configures its launcher and driver, and Argo its sidecar.

A step asks KFP for the schedule's time and for cancellation.
"""
NEEDS = {
    "mlflow": ["names", "database", "store"],
    "backup": ["names", "database", "store"],
    "restore": ["names", "database", "store"],
    "migrate": ["names", "database"],
    "users": ["names", "mlflow"],
    "watch": ["names", "mlflow", "webhook"],
    "step": ["names", "mlflow", "store", "webhook", "kubernetes", *KFP],
    "gpu-check": [],
    "postgres": ["names"],
    "s3": ["names"],
    "unlabelled": ["names"],
    "ingress": ["mlflow"],
}
"""Who may call whom."""
DRIVER = {"driver": ["names", "store", "kubernetes", *KFP]}
"""A pod of KFP's own: it has no label of ours, and nothing of ours holds it back."""


def needed_somewhere(world: World) -> set[Flow]:
    """What is let out by address, since the other end has no fixed one. A pod's address is one too."""
    everywhere = {"step": API_PORTS, "watch": [443]}
    private: dict[str, list[int]] = {}
    if world.address("database").startswith("database.example.com"):
        everywhere |= {"mlflow": [443], "backup": [443], "restore": [443]}
        private = {"mlflow": [5432], "backup": [5432], "restore": [5432], "migrate": [5432]}
    inside = [end for end in world.ends.values() if end.address.startswith("10.")]
    return {
        (source, end.name, port, "TCP")
        for needs, ends in ((everywhere, world.ends.values()), (private, inside))
        for source, ports in needs.items()
        for port in ports
        for end in ends
    }


def needed_by_kfp(world: World) -> set[Flow]:
    """What is let in to read and write pipeline roots, where the store is ours."""
    runs = [end.name for end in world.ends.values() if end.namespace == world.runs]
    return {*world.flows({name: ["store"] for name in runs})}


@pytest.fixture(scope="module", params=["dev", "prod"])
def overlay(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module", params=["kubeflow", "team-a"])
def world(
    request: pytest.FixtureRequest, overlay: str, tools: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> World:
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
    assert {end.name for end in world.ours} <= NEEDS.keys()
    assert world.closed(world.flows(NEEDS | DRIVER)) == []


def test_it_is_open_too_where_the_platform_puts_policies_around_kfp(world: World) -> None:
    within = World(world.documents, world.runs, [*world.policies, *PLATFORM])
    assert within.closed(within.flows(NEEDS | DRIVER)) == []


def test_nothing_else_is_let_out_of_a_pod(world: World) -> None:
    out = world.all_that(world.cluster.is_let_out, world.ours, world.ends.values())
    assert sorted(out - {*world.flows(NEEDS)} - needed_somewhere(world)) == []


def test_nothing_else_is_let_into_a_pod(world: World) -> None:
    let_in = world.all_that(world.cluster.is_let_in, world.ends.values(), world.ours)
    assert sorted(let_in - {*world.flows(NEEDS)} - needed_by_kfp(world)) == []


def test_the_example_of_an_ingress_lets_the_challenge_for_its_certificate_in(
    rendered: Callable[[str], list[Document]],
) -> None:
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
    assert {
        (end.name, port) for end in (STORE, INTERNET) for port in (8333, 9000) if cluster.is_open(CLIENT, end, port)
    } == opened
    assert cluster.is_open(STORE, CLIENT, 22)  # of which no policy speaks


def test_both_ends_must_agree() -> None:
    closed = {
        "metadata": {"namespace": "back"},
        "spec": {"podSelector": {}, "ingress": [{"from": [{"podSelector": {}}]}]},
    }
    assert not Cluster({"shop": {}, "back": {}}, [closed]).is_open(CLIENT, STORE, 8333)
    assert Cluster({"shop": {}, "back": {}}, [closed]).is_open(End("neighbour", "10.0.0.3", "back"), STORE, 8333)
