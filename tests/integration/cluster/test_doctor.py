import base64
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from kubernetes import client as kube

from pipeline.cluster.argo import CONFIG_MAP, PATCH
from pipeline.cluster.client import Access, connect
from pipeline.cluster.doctor import examine
from pipeline.cluster.findings import Row
from pipeline.cluster.submit import Options
from pipeline.config import load
from tests.integration.cluster.conftest import Call, model
from tests.services import fake_http, fake_kubernetes, fake_registry
from tests.services.fake_kfp import FakeKfp
from tests.services.fake_kubernetes import FakeKubernetes
from tests.services.fake_registry import FakeRegistry

INSTALLED = Path(__file__).parents[2] / "data" / "kubernetes" / "workflow-controller-configmap.yaml"
"""What KFP 2.17.0 tells Argo."""
AWS = {
    "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
    "AWS_ACCESS_KEY_ID": "x",
    "AWS_SECRET_ACCESS_KEY": "x",
    "AWS_MAX_ATTEMPTS": "1",
}
TAINT = kube.V1Taint(key="nvidia.com/gpu", value="present", effect="NoSchedule")
TOLERATED = "placement.tolerations=[{key: nvidia.com/gpu, operator: Exists}]"


@dataclass
class Site:
    """A cluster where everything is as it should be, until a test breaks something."""

    kfp: FakeKfp
    kubernetes: FakeKubernetes
    registry: FakeRegistry
    compiled: Path
    settings: list[str]
    host: str = ""
    namespace: str = ""

    def look(self) -> dict[str, Row]:
        """The doctor's rows by name."""
        client = connect(Access(host=self.host or self.kfp.url, namespace=self.namespace))
        return {row.name: row for row in examine(client, load(None, self.settings), Options(self.compiled))}


@pytest.fixture
def site(
    kfp: FakeKfp, mlflow: Path, compiled: Path, call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Site]:
    with fake_kubernetes.serve() as kubernetes, fake_registry.serve() as registry:
        monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
        for name, value in AWS.items():
            monkeypatch.setenv(name, value)
        config = kubernetes.kubeconfig(tmp_path / "kubeconfig")
        monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(config))
        image = f"{registry.host}/team/finest@sha256:0123"
        registry.manifests.add(("team/finest", "sha256:0123"))
        registry.login = "robot:pull"
        own = tmp_path / "pipeline.yaml"
        own.write_text(compiled.read_text().replace("finest:0.1.0", image))
        auth = {"auths": {registry.host: {"auth": base64.b64encode(b"robot:pull").decode()}}}
        kubernetes.add_secret("pull", __dockerconfigjson=json.dumps(auth))
        kubernetes.add_account("finest-pipeline", "pull")
        kubernetes.add_config_map("finest-endpoints", MLFLOW_TRACKING_URI="http://mlflow.finest:5000")
        kubernetes.add_secret("finest-mlflow", username="pipeline", password="x")
        kubernetes.add_secret("finest-s3", AWS_ACCESS_KEY_ID="x", AWS_SECRET_ACCESS_KEY="x")
        kubernetes.add_node("gpu-1", gpus=4, taints=[TAINT], labels={"pool": "gpu"}, images=[image])
        kubernetes.add_node("cpu-1")
        kubernetes.add_pod("gpu-1", gpus=1)
        kubernetes.add_config_map(CONFIG_MAP, namespace="kubeflow", **yaml.safe_load(PATCH.read_text())["data"])
        assert call("schedule", "--cron", "0 2 * * *").code == 0
        yield Site(
            kfp,
            kubernetes,
            registry,
            own,
            [f"checkpoints={tmp_path / 'bucket'}", TOLERATED, "source=s3://b/i", f"name={model(tmp_path)}"],
        )


def test_nothing_is_wrong_where_nothing_is_wrong(site: Site) -> None:
    rows = site.look()
    assert {name: (row.status, row.said) for name, row in rows.items() if row.status != "ok"} == {}
    assert rows["fits"].said == "every step fits; 3 nvidia.com/gpu free now"
    assert rows["retries"].said.startswith(
        "a step whose container fails, runs out of memory or whose pod is lost is tried again"
    )
    assert rows["image"].said.endswith("served with a login; 1 nodes have it")
    assert "optional and not there: finest-azure, finest-signing, finest-webhook" in rows["secrets"].said
    assert rows["schedule"].said == "0 2 * * * in UTC, as 0 0 2 * * * in UTC"


def old_backend(site: Site) -> None:
    site.kfp.version = "2.16.1"


def fast_clock(site: Site) -> None:
    site.kfp.http.clock = lambda: time.time() - 400


def locked_api(site: Site) -> None:
    site.kfp.token = "secret"


def shared_api(site: Site) -> None:
    site.kfp.multi_user = True


def more_groups(site: Site) -> None:
    site.settings.append("perturb.groups=3")


def no_bucket(site: Site) -> None:
    site.settings[0] = "checkpoints=/proc/nowhere"


def unknown_kind_of_bucket(site: Site) -> None:
    site.settings[0] = "checkpoints=ftp://bucket"


def no_image(site: Site) -> None:
    site.registry.manifests.clear()


def wrong_pull_secret(site: Site) -> None:
    site.registry.login = "robot:changed"


def no_registry(site: Site) -> None:
    site.compiled.write_text(site.compiled.read_text().replace(site.registry.host, "127.0.0.1:9"))


def no_account(site: Site) -> None:
    del site.kubernetes.named["serviceaccounts", "finest-pipeline"]


def no_endpoints(site: Site) -> None:
    del site.kubernetes.named["configmaps", "finest-endpoints"]


def half_a_secret(site: Site) -> None:
    site.kubernetes.add_secret("finest-mlflow", username="pipeline")


def no_gpus(site: Site) -> None:
    site.kubernetes.nodes.pop(0)


def untolerated(site: Site) -> None:
    site.settings.remove(TOLERATED)


def wrong_pool(site: Site) -> None:
    site.settings.append("placement.node_selector={pool: big}")


def too_many_gpus(site: Site) -> None:
    site.settings.append("placement.accelerators=8")


def less_patience(site: Site) -> None:
    site.settings.append("steps.patience_minutes=5")


def default_retries(site: Site) -> None:
    site.kubernetes.add_config_map(CONFIG_MAP, namespace="kubeflow", **yaml.safe_load(INSTALLED.read_text())["data"])


def unknown_registry(site: Site) -> None:
    site.compiled.write_text(site.compiled.read_text().replace(site.registry.host, "registry.finest.invalid"))


def silent_bucket(site: Site) -> None:
    site.settings[0] = "checkpoints=s3://bucket/checkpoints"


def unknown_host(site: Site) -> None:
    site.host = "http://kfp.finest.invalid:8888"


def schedule_off(site: Site) -> None:
    next(iter(site.kfp.recurring.values())).mode = "DISABLE"


def two_schedules(site: Site) -> None:
    [night] = site.kfp.recurring.values()
    site.kfp.recurring["copy"] = night


@pytest.mark.parametrize(
    ("break_it", "name", "cause", "fix"),
    [
        (old_backend, "KFP backend version", "version 2.16.1", "upgrade Kubeflow Pipelines to 2.17"),
        (fast_clock, "clock", "s ahead of the KFP API", "NTP"),
        (locked_api, "KFP API", "401", "KFP_TOKEN"),
        (shared_api, "KFP API", "serves many users", "--namespace"),
        (more_groups, "compiled pipeline", "perturb.groups: 3, but", "compile it with this config"),
        (less_patience, "compiled pipeline", "steps.patience_minutes: 5.0, but", "compile it with this config"),
        (no_bucket, "checkpoints", "/proc/nowhere", ""),
        (unknown_kind_of_bucket, "checkpoints", "ftp://", ""),
        (no_image, "image", "has no team/finest sha256:0123", "push it"),
        (wrong_pull_secret, "image", "does not give team/finest with a login (401)", "pull secret"),
        (no_registry, "image registry", "no connection to 127.0.0.1:9: refused", "network"),
        (no_account, "service account", "no service account finest-pipeline", "--service-account"),
        (no_endpoints, "secrets", "lacks ConfigMap finest-endpoints", "docs/cluster.md"),
        (half_a_secret, "secrets", "Secret finest-mlflow (no password)", "docs/cluster.md"),
        (no_gpus, "fits", "no node has nvidia.com/gpu", "placement.accelerator"),
        (untolerated, "fits", "taint nvidia.com/gpu=present:NoSchedule is not tolerated", "placement.tolerations"),
        (wrong_pool, "fits", "label pool=big", "placement.node_selector"),
        (
            too_many_gpus,
            "fits",
            "8 nvidia.com/gpu): the largest, gpu-1, has 8 CPU, 32Gi memory, 4 nvidia",
            "placement.accelerators",
        ),
        (
            default_retries,
            "retries",
            "runs out of memory is never tried again (retryPolicy OnError)",
            "--patch-file",
        ),
        (
            unknown_registry,
            "image registry",
            "no connection to registry.finest.invalid:443: the name does not resolve",
            "nodes need",
        ),
        (
            unknown_host,
            "KFP API",
            "no connection to kfp.finest.invalid:8888: the name does not resolve",
            "port-forward",
        ),
        (schedule_off, "schedule", "-nightly is off", "schedule --config FILE --cron"),
        (two_schedules, "schedule", "2 recurring runs", "schedule --config FILE --cron"),
    ],
)
def test_what_is_broken_is_a_row_with_cause_and_fix(
    site: Site, break_it: Callable[[Site], None], name: str, cause: str, fix: str
) -> None:
    break_it(site)
    row = site.look()[name]
    assert row.status == "failed" and cause in row.said and fix in row.fix, row


def mlflow_unset(site: Site, patch: pytest.MonkeyPatch) -> None:
    patch.delenv("MLFLOW_TRACKING_URI")


def no_kubernetes(site: Site, patch: pytest.MonkeyPatch) -> None:
    patch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", "/nowhere")


def nodes_forbidden(site: Site, patch: pytest.MonkeyPatch) -> None:
    site.kubernetes.forbidden.add("nodes")


def unnamed_version(site: Site, patch: pytest.MonkeyPatch) -> None:
    site.kfp.version = "unknown"


def no_schedule(site: Site, patch: pytest.MonkeyPatch) -> None:
    site.kfp.recurring.clear()


def config_maps_forbidden(site: Site, patch: pytest.MonkeyPatch) -> None:
    site.kubernetes.forbidden.add(CONFIG_MAP)


def silent_kubernetes(site: Site, patch: pytest.MonkeyPatch) -> None:
    config = site.compiled.with_name("kubeconfig")
    config.write_text(config.read_text().replace(site.kubernetes.http.url, "http://127.0.0.1:9"))


def unreachable_bucket(site: Site, patch: pytest.MonkeyPatch) -> None:
    silent_bucket(site)


def no_checkpoints(site: Site, patch: pytest.MonkeyPatch) -> None:
    site.settings[0] = "checkpoints=''"


@pytest.mark.parametrize(
    ("hide_it", "names", "why"),
    [
        (mlflow_unset, ["MLflow"], "MLFLOW_TRACKING_URI is not set"),
        (no_kubernetes, ["fits", "retries", "secrets", "service account"], "no Kubernetes API is known here"),
        (nodes_forbidden, ["fits"], "may not read nodes (403"),
        (unnamed_version, ["KFP backend version"], "calls its version 'unknown'"),
        (no_schedule, ["schedule"], "there is no schedule"),
        (config_maps_forbidden, ["retries"], "may not read ConfigMaps of kubeflow (403"),
        (
            silent_kubernetes,
            ["fits", "retries", "service account"],
            "the Kubernetes API: no connection to 127.0.0.1:9: refused",
        ),
        (no_checkpoints, ["checkpoints"], "checkpoints is not set"),
        (unreachable_bucket, ["checkpoints"], "s3://bucket/checkpoints: no connection to 127.0.0.1:9: refused"),
    ],
)
def test_what_cannot_be_checked_says_why(
    site: Site,
    monkeypatch: pytest.MonkeyPatch,
    hide_it: Callable[[Site, pytest.MonkeyPatch], None],
    names: list[str],
    why: str,
) -> None:
    hide_it(site, monkeypatch)
    rows = site.look()
    for name in names:
        row = rows[name]
        assert row.status == "unknown" and row.said.startswith("not checked: ") and why in row.said and row.fix, row


def test_without_an_accelerator_trainings_run_on_cpus(site: Site) -> None:
    site.kubernetes.nodes.pop(0)
    site.settings.append("placement.accelerator=''")
    row = site.look()["fits"]
    assert (row.status, row.said) == ("ok", "every step fits; trainings run on CPUs")


def test_an_api_that_is_away_fails_once_and_is_not_waited_for_again(site: Site) -> None:
    site.host = "http://127.0.0.1:9"
    rows = site.look()
    assert rows["KFP API"].status == "failed" and "no connection" in rows["KFP API"].said
    for name in ("KFP backend version", "clock", "schedule"):
        assert rows[name].said == "not checked: the KFP API could not be asked"
    assert rows["secrets"].status == "ok"


def test_a_store_that_refuses_is_told_with_its_address(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    silent_bucket(site)
    with fake_http.serving(server := fake_http.Server(before=lambda request: fake_http.Answer(403))):
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        row = site.look()["checkpoints"]
        address = server.url.removeprefix("http://")
    assert row.said == f"s3://bucket/checkpoints: access denied (ListObjectsV2) (asked: {address})"
    assert row.status == "failed" and "s3:ListBucket" in row.fix


def test_an_mlflow_server_that_is_away_is_a_row(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    row = site.look()["MLflow"]
    assert row.status == "failed" and "no connection" in row.said and "start the server" in row.fix


def test_the_command_exits_1_only_where_something_failed(site: Site, call: Call) -> None:
    settings = [part for one in site.settings for part in ("--set", one)]
    fine = call("doctor", "--pipeline", str(site.compiled), *settings)
    assert fine.code == 0 and "failed" not in fine.out
    site.kubernetes.forbidden.add("nodes")
    unknown = call("doctor", "--pipeline", str(site.compiled), *settings)
    assert unknown.code == 0 and "not checked" in unknown.out
    site.kfp.version = "2.5.0"
    broken = call("doctor", "--pipeline", str(site.compiled), *settings)
    assert broken.code == 1 and "2.5.0" in broken.out
