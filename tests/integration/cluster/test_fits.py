import json
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes import client as kubernetes

from pipeline.cluster import demand, fits, versions
from pipeline.cluster.amounts import read
from pipeline.cluster.argo import CONFIG_MAP
from pipeline.cluster.findings import HealthError, NotCheckedError
from pipeline.cluster.kube import reach
from pipeline.config import load
from tests.integration.cluster.conftest import Call
from tests.services import fake_kubernetes
from tests.services.fake_http import Answer
from tests.services.fake_kfp import FakeKfp
from tests.services.fake_kubernetes import FakeKubernetes

DATA = Path(__file__).parents[2] / "data" / "kubernetes"
CPUS = "placement.accelerator=''"
GPU_TAINT = kubernetes.V1Taint(key="nvidia.com/gpu", value="present", effect="NoSchedule")


@dataclass
class Cluster:
    """A cluster without a node, and what a run of the compiled pipeline finds there."""

    kubernetes: FakeKubernetes
    compiled: Path
    looped: Path

    def tell_argo(self, **keys: str) -> None:
        """Replaces the configuration of Argo's controller."""
        self.kubernetes.add_config_map(CONFIG_MAP, namespace="kubeflow", **keys)

    def says(self, *settings: str) -> str:
        """What fits."""
        config = load(None, settings)
        return fits.check(reach, "", config, versions.read(self.looped if config.perturb.groups > 1 else self.compiled))

    def refuses(self, *settings: str) -> HealthError:
        """What never does."""
        with pytest.raises(HealthError) as caught:
            self.says(*settings)
        assert "\n" not in str(caught.value) and "{}" not in str(caught.value)
        return caught.value


@pytest.fixture
def cluster(compiled: Path, looped: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    with fake_kubernetes.serve() as api:
        config = api.kubeconfig(tmp_path / "kubeconfig")
        monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(config))
        api.add_config_map(
            CONFIG_MAP, namespace="kubeflow", **yaml.safe_load((DATA / f"{CONFIG_MAP}.yaml").read_text())["data"]
        )
        yield Cluster(api, compiled, looped)


CLOUDS: dict[str, dict[str, Any]] = {
    "GKE e2-standard-4": {"cpu": "3920m", "memory": "12.4Gi"},
    "AKS D4s v5": {"cpu": "3860m", "memory": "12Gi"},
    "EKS m5.xlarge": {"cpu": "3920m", "memory": "14.5Gi"},
}


@pytest.mark.parametrize("cloud", CLOUDS)
def test_the_defaults_fit_a_node_of_4_cores_and_16_gb_as_clouds_offer_it(cluster: Cluster, cloud: str) -> None:
    cluster.kubernetes.add_node("node-1", gpus=1, **CLOUDS[cloud])
    cluster.kubernetes.add_pod("node-1", owner="DaemonSet", cpu="400m", memory="700Mi")
    cluster.kubernetes.add_pod("node-1", owner="DaemonSet", cpu="100m", memory="324Mi")
    assert cluster.says() == "every step fits; 1 nvidia.com/gpu free now"
    assert cluster.says(CPUS) == "every step fits; trainings run on CPUs"


def test_what_the_scheduler_said_for_ever_is_said_before(cluster: Cluster) -> None:
    event = json.loads((DATA / "event-failed-scheduling.json").read_text())
    assert "0/1 nodes are available: 1 Insufficient cpu." in event["message"]
    cluster.kubernetes.add_node("node-1", cpu="2", memory="22Gi")
    refused = cluster.refuses(CPUS, "placement.cpu=500m", "placement.data_cpu=4")
    least = "no node holds ingest, perturb, gate, promote (4 CPU, 8Gi memory)"
    assert refused.cause == f"{least}: the largest, node-1, has 2 CPU, 22Gi memory"
    assert refused.fix == "lower placement.data_cpu, or add larger nodes"


def test_what_kfp_and_argo_add_to_a_step_is_what_they_were_seen_to_add(compiled: Path) -> None:
    seen = json.loads((DATA / "pod-of-a-step.json").read_text())["status"]
    containers = {
        one["name"]: one["resources"] for kind in ("initContainerStatuses", "containerStatuses") for one in seen[kind]
    }
    placement = {"cpu": "500m", "memory": "600Mi", "accelerator": "nvidia.com/gpu", "accelerators": "1"}
    [pod] = [one for one in demand.pods(versions.read(compiled), placement, demand.Argo()) if one.step == "pretrain"]
    ours = {one.name: {"requests": one.requests, "limits": one.limits} for one in (*pod.containers, *pod.before)}
    assert ours == {
        name: {side: read(given.get(side)) for side in ("requests", "limits")} for name, given in containers.items()
    }


@pytest.mark.parametrize(
    ("settings", "cause", "fix"),
    [
        (
            "cpu=4500m",
            "champion, calibrate, pretrain, finetune (4.5 CPU, 4Gi memory): the largest, small, has 4 CPU, 8Gi",
            "lower placement.cpu, or",
        ),
        ("memory=9Gi", "(3 CPU, 9Gi memory): the largest, small, has 4 CPU, 8Gi memory", "lower placement.memory, or"),
        ("memory=9Gi;cpu=5", "(5 CPU, 9Gi memory)", "lower placement.cpu and placement.memory, or"),
        (
            "small_memory=9Gi",
            "preflight, reject, skip, notify (0.5 CPU, 9Gi memory)",
            "placement.small_memory",
        ),
        (
            "accelerator=amd.com/gpu",
            "no node has amd.com/gpu for champion, calibrate, pretrain, finetune",
            "placement.accelerator",
        ),
        (
            "node_selector={pool: big}",
            "no node lets champion, calibrate, pretrain, finetune in (3 CPU, 4Gi memory): label",
            "placement.node_selector",
        ),
        ("node_selector={pool: '{x}'}", "label pool={x} is missing", "placement.node_selector"),
        (
            "other_node_selector={pool: big}",
            "label pool=big is missing",
            "placement.other_node_selector and placement.other_tolerations",
        ),
    ],
)
def test_what_no_node_can_ever_hold_is_refused_with_the_largest_nodes_figures(
    cluster: Cluster, settings: str, cause: str, fix: str
) -> None:
    cluster.kubernetes.add_node("small", cpu="4", memory="8Gi")
    given = [f"placement.{one}" for one in settings.split(";")]
    refused = cluster.refuses(CPUS, "placement.memory=4Gi", *given)
    assert cause in refused.cause and fix in refused.fix, refused


def test_what_daemon_sets_and_the_nodes_own_pods_take_is_never_free(cluster: Cluster) -> None:
    cluster.kubernetes.add_node("node-1", cpu="4", memory="16Gi")
    cluster.kubernetes.add_pod("node-1", owner="DaemonSet", cpu="600m")
    cluster.kubernetes.add_pod("node-1", owner="Node", cpu="500m")
    refused = cluster.refuses(CPUS)
    assert "the largest, node-1, has 2.9 CPU, 16Gi memory beside what DaemonSets take" in refused.cause


def test_what_other_pods_take_is_waited_for_and_not_refused(cluster: Cluster) -> None:
    cluster.kubernetes.add_node("node-1", cpu="4", memory="16Gi")
    cluster.kubernetes.add_pod("node-1", cpu="2", memory="1Gi")
    said = cluster.says(CPUS)
    assert (
        "champion, calibrate, pretrain, finetune would wait for 3 CPU, 10Gi memory (most room is on node-1: 2 CPU free)"
        in said
    )
    assert "every step fits" not in said and "preflight" not in said


def test_of_other_pods_sidecars_count_beside_the_rest_and_init_containers_where_they_are_larger(
    cluster: Cluster,
) -> None:
    def container(cpu: str, **more: str) -> kubernetes.V1Container:
        return kubernetes.V1Container(
            name=cpu, resources=kubernetes.V1ResourceRequirements(requests={"cpu": cpu}), **more
        )

    cluster.kubernetes.add_node("node-1", cpu="8")
    cluster.kubernetes.add_pod("node-1", cpu="1")
    spec = cluster.kubernetes.pods[0].spec
    spec.overhead = {"cpu": "500m"}
    spec.init_containers = [container("2", restart_policy="Always"), container("2500m")]
    assert "every step fits" in cluster.says(CPUS)  # 2 and 2.5 before, 2 and 1 then; 0.5 of overhead: 3 of 8 are left
    spec.init_containers.append(container("2600m"))
    assert "most room is on node-1: 2.9 CPU free" in cluster.says(CPUS)


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
def test_pods_that_have_ended_take_nothing(cluster: Cluster, phase: str) -> None:
    cluster.kubernetes.add_node("node-1", cpu="4", memory="16Gi")
    cluster.kubernetes.add_pod("node-1", phase=phase, cpu="4", memory="16Gi")
    assert cluster.says(CPUS).startswith("every step fits")


def test_a_node_that_is_full_of_pods_is_waited_for(cluster: Cluster) -> None:
    cluster.kubernetes.add_node("node-1", pods="2")
    for _ in range(2):
        cluster.kubernetes.add_pod("node-1", cpu="1m")
    assert "would wait for" in cluster.says(CPUS) and "0 pods free" in cluster.says(CPUS)


@pytest.mark.parametrize(("state", "why"), [({"ready": False}, "not ready"), ({"closed": True}, "closed to new pods")])
def test_nodes_that_are_away_come_back(cluster: Cluster, state: dict[str, Any], why: str) -> None:
    cluster.kubernetes.add_node("node-1", **state)
    assert f"would wait for a node (1 {why})" in cluster.says(CPUS)


@pytest.mark.parametrize(
    "key", ["node.kubernetes.io/disk-pressure", "karpenter.sh/disrupted", "ToBeDeletedByClusterAutoscaler"]
)
def test_a_taint_of_a_nodes_moment_is_waited_for_and_any_other_one_refused(cluster: Cluster, key: str) -> None:
    cluster.kubernetes.add_node("node-1", taints=[kubernetes.V1Taint(key=key, effect="NoSchedule")])
    assert "would wait for a node (1 tainted for now)" in cluster.says(CPUS)
    cluster.kubernetes.nodes[0].spec.taints = [kubernetes.V1Taint(key="team", value="a", effect="NoExecute")]
    assert "taint team=a:NoExecute is not tolerated" in cluster.refuses(CPUS).cause
    tolerated = "[{key: team, operator: Equal, value: a}]"
    cluster.tell_argo(workflowDefaults=f"spec: {{tolerations: {tolerated}, nodeSelector: {{pool: a}}}}")
    assert "label pool=a is missing" in cluster.refuses(CPUS).cause
    cluster.kubernetes.nodes[0].metadata.labels = {"pool": "a"}
    assert cluster.says(
        CPUS, f"placement.tolerations={tolerated}", f"placement.other_tolerations={tolerated}"
    ).startswith("every step fits")
    cluster.kubernetes.nodes[0].spec.taints = [kubernetes.V1Taint(key="team", value="a", effect="PreferNoSchedule")]
    assert cluster.says(CPUS).startswith("every step fits")


def test_gke_tolerates_the_taint_of_the_gpus_that_a_pod_asks_for(cluster: Cluster) -> None:
    cluster.kubernetes.add_node("cpu-1")
    cluster.kubernetes.add_node("gpu-1", gpus=1, taints=[GPU_TAINT])
    assert "taint nvidia.com/gpu=present:NoSchedule is not tolerated" in cluster.refuses().cause
    cluster.kubernetes.nodes[1].spec.provider_id = "gce://project/zone/gpu-1"
    assert cluster.says() == "every step fits; 1 nvidia.com/gpu free now"


def test_groups_train_at_the_same_time_and_the_others_wait(cluster: Cluster) -> None:
    for number in range(3):
        cluster.kubernetes.add_node(f"gpu-{number}", gpus=1)
    assert cluster.says("perturb.groups=3") == "every step fits; 3 nvidia.com/gpu free now"
    cluster.kubernetes.add_pod("gpu-0", gpus=1)
    said = cluster.says("perturb.groups=3")
    assert said.startswith(
        "pretrain, finetune (3 at once, room for 2 now) would wait for 3 CPU, 10Gi memory, 1 nvidia.com/gpu; "
    )
    assert said.endswith("2 nvidia.com/gpu free now") and "champion" not in said


def test_no_more_groups_are_counted_than_run_at_once(cluster: Cluster) -> None:
    for number in range(8):
        cluster.kubernetes.add_node(f"gpu-{number}", gpus=1)
    assert (
        cluster.says("perturb.groups=40", f"perturb.scenarios={scenarios(40)}")
        == "every step fits; 8 nvidia.com/gpu free now"
    )


def scenarios(count: int) -> str:
    return json.dumps([{"kind": "deletion", "seed": number} for number in range(count)])


def test_where_nodes_are_added_for_pods_that_wait_nothing_is_refused_for_want_of_them(cluster: Cluster) -> None:
    cluster.kubernetes.add_node("cpu-1")
    assert "no node has nvidia.com/gpu" in cluster.refuses().cause
    cluster.kubernetes.add_config_map("cluster-autoscaler-status", namespace="kube-system", status="Healthy")
    assert "would wait for a node that the cluster autoscaler adds: no node has nvidia.com/gpu for it" in cluster.says()
    cluster.kubernetes.groups.append("karpenter.sh")
    assert "would wait for a node that Karpenter adds" in cluster.says()


def test_a_cluster_without_nodes_is_refused(cluster: Cluster) -> None:
    assert cluster.refuses(CPUS).cause == "the cluster has no node for every step"


def test_a_quota_that_is_smaller_than_a_step_refuses_it_and_one_that_is_used_up_is_waited_for(cluster: Cluster) -> None:
    cluster.kubernetes.add_node("gpu-1", gpus=8, cpu="64", memory="256Gi")
    cluster.kubernetes.add_range(
        "defaults", default={"cpu": "100m", "memory": "64Mi"}, default_request={"cpu": "10m", "memory": "32Mi"}
    )
    hard = {
        "requests.cpu": "4",
        "limits.memory": "64Gi",
        "requests.nvidia.com/gpu": "2",
        "pods": "20",
        "count/secrets": "1",
    }
    cluster.kubernetes.add_quota(
        "team", hard, {"requests.cpu": "0", "limits.memory": "0", "requests.nvidia.com/gpu": "0", "pods": "0"}
    )
    assert cluster.says().startswith("every step fits")
    many = cluster.says("perturb.groups=3")
    assert (
        "pretrain, finetune would wait for the quota team (requests.nvidia.com/gpu: 3 asked for, 2 of 2 left)" in many
    )
    refused = cluster.refuses("placement.accelerators=4")
    room = "team never has room for champion, calibrate, pretrain, finetune"
    assert f"{room} (requests.nvidia.com/gpu: 4 asked for, 2 in all)" in refused.cause
    assert "raise the quota, or lower placement.accelerators" in refused.fix
    cluster.kubernetes.quotas[0].status.used = {"requests.cpu": "3500m", "pods": "20"}
    said = cluster.says()
    assert "would wait for the quota team (requests.cpu: 3.01 asked for, 0.5 of 4 left)" in said
    assert "(pods: 1 asked for, 0 of 20 left)" in said


@pytest.mark.parametrize("counted", ["requests.cpu", "cpu", "requests.memory", "memory", "limits.cpu", "limits.memory"])
def test_a_quota_on_what_a_container_does_not_name_refuses_it_unless_a_limit_range_gives_it(
    cluster: Cluster, counted: str
) -> None:
    cluster.kubernetes.add_node("node-1")
    cluster.kubernetes.add_quota("team", {counted: "1000Gi"}, {counted: "0"})
    refused = cluster.refuses(CPUS)
    assert refused.cause == f"the quota team refuses every step, since wait, init name no {counted}"
    assert "limit range with defaults" in refused.fix
    cluster.kubernetes.add_range(
        "defaults", default={"cpu": "1", "memory": "1Gi"}, default_request={"cpu": "10m", "memory": "32Mi"}
    )
    assert cluster.says(CPUS).startswith("every step fits")


def test_what_argo_is_told_to_give_its_own_containers_counts(cluster: Cluster) -> None:
    cluster.kubernetes.add_node("node-1")
    cluster.kubernetes.add_quota("team", {"requests.cpu": "100", "limits.memory": "100Gi"}, {})
    resources = {"resources": {"requests": {"cpu": 0.1}, "limits": {"cpu": 0.5, "memory": "256Mi"}}}
    cluster.tell_argo(executor=yaml.safe_dump(resources))
    assert cluster.says(CPUS).startswith("every step fits")
    cluster.tell_argo(config=yaml.safe_dump({"executor": resources}))
    assert cluster.says(CPUS).startswith("every step fits")


def test_quotas_on_disk_and_on_other_pods_ask_for_no_names(cluster: Cluster) -> None:
    cluster.kubernetes.add_node("node-1")
    cluster.kubernetes.add_quota(
        "disk", {"requests.ephemeral-storage": "1Gi", "requests.storage": "0", "persistentvolumeclaims": "0"}, {}
    )
    for scope in ("BestEffort", "NotTerminating", "PriorityClass"):
        cluster.kubernetes.add_quota(scope, {"pods": "0", "requests.cpu": "0"}, {}, scopes=[scope])
    assert cluster.says(CPUS).startswith("every step fits")
    cluster.kubernetes.add_quota("runs", {"pods": "0"}, {}, scopes=["NotBestEffort", "Terminating"])
    assert "the quota runs never has room for" in cluster.refuses(CPUS).cause


def test_a_limit_range_gives_disk_that_a_node_must_then_have(cluster: Cluster) -> None:
    room: dict[str, Any] = {"ephemeral-storage": "10Gi"}
    cluster.kubernetes.add_node("node-1", **room)
    cluster.kubernetes.add_range(
        "disk", default={"ephemeral-storage": "20Gi"}, default_request={"ephemeral-storage": "6Gi"}
    )
    refused = cluster.refuses(CPUS)
    assert (
        "12Gi ephemeral storage" in refused.cause and "10Gi ephemeral storage" in refused.cause
    )  # the step's own container and Argo's


@pytest.mark.parametrize(
    ("kind", "limits", "whose", "what"),
    [
        (
            "Container",
            {"max": {"memory": "8Gi"}},
            "the container main of champion, calibrate, pretrain, finetune",
            "its limit is 10Gi memory, at",
        ),
        (
            "Container",
            {"min": {"memory": "96Mi"}},
            "the container main of KFP's driver",
            "it asks for 64Mi memory, at least 96Mi",
        ),
        (
            "Container",
            {"min": {"cpu": "200m"}},
            "the container kfp-launcher of every step",
            "it asks for 0.1 CPU, at least 0.2 CPU",
        ),
        (
            "Container",
            {"max_limit_request_ratio": {"cpu": "2"}, "default": {"cpu": "1"}},
            "",
            "may be 2 times its request, which are 0.5",
        ),
        (
            "Pod",
            {"max": {"cpu": "2"}},
            "ingest, champion, perturb, calibrate, pretrain, finetune, gate, promote",
            "its limit is 3 CPU, at most 2 CPU may be",
        ),
        (
            "Pod",
            {"min": {"memory": "4Gi"}},
            "preflight, reject, skip, notify",
            "it asks for 2Gi memory, at least 4Gi memory",
        ),
        ("Pod", {"max": {"nvidia.com/gpu": "0"}}, "every step", "it names no limit of nvidia.com/gpu, at most 0"),
    ],
)
def test_a_limit_range_refuses_what_is_outside_of_it(
    cluster: Cluster, kind: str, limits: dict[str, dict[str, str]], whose: str, what: str
) -> None:
    cluster.kubernetes.add_node("node-1")
    cluster.kubernetes.add_range("team", kind, **limits)
    cause = cluster.refuses(CPUS).cause
    assert f"the limit range team refuses {whose}" in cause and what in cause, cause


def test_a_limit_range_for_volumes_is_none_of_a_pods_business(cluster: Cluster) -> None:
    cluster.kubernetes.add_node("node-1")
    cluster.kubernetes.add_range("volumes", "PersistentVolumeClaim", max={"storage": "1Gi"})
    assert cluster.says(CPUS).startswith("every step fits")


def test_the_manifests_own_limits_let_nothing_of_kfp_down(cluster: Cluster) -> None:
    """k8s/base/limits.yaml is for MLflow's namespace; where it is taken for the runs', KFP's containers must start."""
    cluster.kubernetes.add_node("node-1")
    documents = list(yaml.safe_load_all((Path(__file__).parents[3] / "k8s" / "base" / "limits.yaml").read_text()))
    entry = next(one["spec"]["limits"][0] for one in documents if one["kind"] == "LimitRange")
    cluster.kubernetes.add_range("finest", default=entry["default"], default_request=entry["defaultRequest"])
    hard = next(one["spec"]["hard"] for one in documents if one["kind"] == "ResourceQuota")
    cluster.kubernetes.add_quota("finest", hard, {})
    assert cluster.says(CPUS).startswith("every step fits")


@pytest.mark.parametrize(
    ("hidden", "said"),
    [("nodes", "may not read nodes (403"), ("resourcequotas", "may not read quotas of kubeflow (403")],
)
def test_what_may_not_be_read_is_not_checked_and_the_rest_is(cluster: Cluster, hidden: str, said: str) -> None:
    cluster.kubernetes.add_node("node-1")
    cluster.kubernetes.forbidden.add(hidden)
    with pytest.raises(NotCheckedError, match="not checked") as caught:
        cluster.says(CPUS)
    assert said in caught.value.why
    cluster.kubernetes.add_range("team", "Pod", max={"cpu": "1"})
    assert "the limit range team refuses" in cluster.refuses(CPUS).cause


def test_where_pods_may_not_be_read_it_is_not_known_what_is_free(cluster: Cluster) -> None:
    cluster.kubernetes.add_node("node-1")
    cluster.kubernetes.forbidden.add("pods")
    said = cluster.says(CPUS)
    assert said.startswith(
        "every step fits; what is free now is not known: this user may not read pods of all namespaces (403"
    )


@pytest.fixture
def submit(cluster: Cluster, call: Call) -> Call:
    """`submit` beside that cluster."""

    def run(*arguments: str, **keywords: Any) -> Any:
        return call("submit", "--detach", "--set", CPUS, *arguments, **keywords)

    return run


def test_submit_refuses_in_one_line_before_anything_is_uploaded(cluster: Cluster, submit: Call, kfp: FakeKfp) -> None:
    cluster.kubernetes.add_node("node-1", cpu="2")
    said = submit()
    assert said.code == 1 and said.error.count("\n") == 1 and "Fits" not in said.out
    assert said.error.startswith("error: no node holds ")
    assert (
        "the largest, node-1, has 2 CPU, 32Gi memory; "
        "lower placement.cpu, or add larger nodes, or start it all the same" in said.error
    )
    assert "--no-fit-check" in said.error and said.error.endswith("(1 more: finest doctor)\n")
    assert not kfp.uploads and not kfp.runs and not kfp.experiments
    forced = submit("--no-fit-check")
    assert forced.code == 0 and len(kfp.runs) == 1 and "Fits" not in forced.out


def test_submit_says_what_waits_and_starts(cluster: Cluster, submit: Call, kfp: FakeKfp) -> None:
    cluster.kubernetes.add_node("node-1", cpu="4")
    cluster.kubernetes.add_pod("node-1", cpu="2")
    said = submit()
    assert said.code == 0 and len(kfp.runs) == 1
    assert said.out.startswith("Fits     ") and "would wait for 3 CPU" in said.out.splitlines()[0]


def test_submit_goes_on_where_the_kubernetes_api_cannot_be_read(
    cluster: Cluster, submit: Call, kfp: FakeKfp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", "/nowhere")
    said = submit()
    assert said.code == 0 and len(kfp.runs) == 1
    assert said.out.splitlines()[0].startswith("Fits     not checked: no Kubernetes API is known here")


@pytest.mark.parametrize("text", ["", "- a\n- b\n", "{{{", "\x00", "5", "current-context: [a]\ncontexts: x\n"])
def test_a_kubeconfig_that_is_none_ends_in_a_line(submit: Call, tmp_path: Path, text: str) -> None:
    (tmp_path / "kubeconfig").write_text(text)
    said = submit()
    assert said.code == 0 and said.out.splitlines()[0].startswith(
        "Fits     not checked: no Kubernetes API is known here ("
    )


@pytest.mark.parametrize(
    "answer",
    [Answer(200), Answer(200, {}), Answer(200, []), Answer(200, "hello"), Answer(500), Answer(302), Answer(401)],
)
def test_a_server_that_is_no_kubernetes_api_ends_in_a_line(cluster: Cluster, submit: Call, answer: Answer) -> None:
    cluster.kubernetes.http.before = lambda request: answer
    said = submit()
    assert said.code == 0 and "Traceback" not in said.error
    assert said.out.startswith("Fits     not checked: ") and "127.0.0.1:" in said.out.splitlines()[0]


def test_an_api_that_is_silent_is_waited_for_once(
    cluster: Cluster, submit: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.cluster.kube.SECONDS", (0.2, 0.2))
    kubeconfig = tmp_path / "kubeconfig"
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        kubeconfig.write_text(kubeconfig.read_text().replace(cluster.kubernetes.http.url, f"http://{address}"))
        said = submit()
        silent.setblocking(False)
        tries = 0
        with suppress(BlockingIOError):
            while True:
                silent.accept()[0].close()
                tries += 1
    assert (
        said.code == 0
        and said.out.splitlines()[0] == f"Fits     not checked: the Kubernetes API: no answer from {address} in time"
    )
    assert tries == 2  # a request, and its one repetition


GARBAGE: list[Callable[[FakeKubernetes], None]] = [
    lambda api: api.add_config_map(CONFIG_MAP, namespace="kubeflow", executor="resources: [a, b]"),
    lambda api: api.add_config_map(CONFIG_MAP, namespace="kubeflow", executor="{"),
    lambda api: api.add_config_map(CONFIG_MAP, namespace="kubeflow", notes="{ of nobody's business"),
    lambda api: api.named.pop(("configmaps", f"kubeflow/{CONFIG_MAP}")),
    lambda api: setattr(api.nodes[0].status, "conditions", None),
    lambda api: api.add_quota("empty", {}, None),
]


@pytest.mark.parametrize("spoil", GARBAGE)
def test_what_is_strange_in_the_cluster_ends_in_a_line(
    cluster: Cluster, submit: Call, spoil: Callable[[FakeKubernetes], None]
) -> None:
    cluster.kubernetes.add_node("node-1")
    spoil(cluster.kubernetes)
    said = submit()
    assert said.code == 0 and said.out.startswith("Fits     ") and "Traceback" not in said.error
