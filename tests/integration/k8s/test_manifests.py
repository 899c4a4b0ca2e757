"""Every overlay renders, is valid for a new and an older cluster, and passes a security scan.

Every exception of the scan is justified in place.
"""

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from tests.integration.k8s.conftest import K8S, OVERLAYS, ROOT
from tests.integration.k8s.containers import Document, containers, find, pod_labels, pod_spec

RELEASES = ("1.37.0", "1.32.0")
"""The newest schema there is, and one that clusters of today still run."""
SKIP = "checkov.io/skip"

Render = Callable[[str], list[Document]]


def written(folder: Path, documents: list[Document]) -> Path:
    file = folder / "all.yaml"
    file.write_text(yaml.safe_dump_all(documents))
    return file


def validate(tools: dict[str, Path], file: Path, release: str) -> list[str]:
    """What the validator has to say, warnings too."""
    done = subprocess.run(
        [tools["kubernetes-validate"], "-k", release, "--strict", "--quiet", file], capture_output=True, text=True
    )
    said = (done.stdout + done.stderr).strip().splitlines()
    return said or ([f"exit code {done.returncode}"] if done.returncode else [])


def scan(tools: dict[str, Path], file: Path) -> dict[str, list[tuple[str, str, str]]]:
    """Checkov's results by outcome: check, resource, and the reason of a skip."""
    options = ["--framework", "kubernetes", "--skip-download", "--compact", "--output", "json"]
    done = subprocess.run([tools["checkov"], "--file", file, *options], capture_output=True, text=True)
    results = json.loads(done.stdout)["results"]
    assert not results["parsing_errors"]

    def found(outcome: str) -> list[tuple[str, str, str]]:
        checks = results[f"{outcome}_checks"]
        return [(one["check_id"], one["resource"], one["check_result"].get("suppress_comment") or "") for one in checks]

    return {outcome: found(outcome) for outcome in ("passed", "failed", "skipped")}


def workloads(documents: list[Document]) -> Iterator[Document]:
    yield from (one for one in documents if pod_spec(one))


@pytest.mark.parametrize("overlay", OVERLAYS)
@pytest.mark.parametrize("release", RELEASES)
def test_an_overlay_is_valid_without_a_warning(
    tools: dict[str, Path], rendered: Render, tmp_path: Path, overlay: str, release: str
) -> None:
    assert validate(tools, written(tmp_path, rendered(overlay)), release) == []


def test_a_mistyped_field_and_an_unknown_kind_are_not_valid(
    tools: dict[str, Path], rendered: Render, tmp_path: Path
) -> None:
    deployment = json.loads(json.dumps(find(rendered("dev"), "Deployment", "mlflow")))
    deployment["spec"]["template"]["spec"]["containers"][0]["livenesProbe"] = {}
    assert any("livenesProbe" in line for line in validate(tools, written(tmp_path, [deployment]), RELEASES[0]))
    foreign: Document = {
        "apiVersion": "external-secrets.io/v1",
        "kind": "ExternalSecret",
        "metadata": {"name": "x"},
        "spec": {},
    }
    assert validate(tools, written(tmp_path, [foreign]), RELEASES[0])


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_an_overlay_passes_the_scan_and_every_exception_is_needed_and_has_its_reason(
    tools: dict[str, Path], rendered: Render, tmp_path: Path, overlay: str
) -> None:
    found = scan(tools, written(tmp_path, rendered(overlay)))
    assert found["failed"] == [] and len(found["passed"]) > 50
    assert all(len(reason) > 30 for *_, reason in found["skipped"])
    bare = json.loads(json.dumps(rendered(overlay)))
    for document in bare:
        notes = document["metadata"].get("annotations", {})
        document["metadata"]["annotations"] = {key: value for key, value in notes.items() if not key.startswith(SKIP)}
    failing = {(check, resource) for check, resource, _ in scan(tools, written(tmp_path, bare))["failed"]}
    asked = [
        (
            value.partition("=")[0],
            f"{one['kind']}.{one['metadata'].get('namespace', 'default')}.{one['metadata']['name']}",
        )
        for one in rendered(overlay)
        for key, value in one["metadata"].get("annotations", {}).items()
        if key.startswith(SKIP)
    ]
    assert set(asked) == failing


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_pod_fits_the_restricted_standard(rendered: Render, overlay: str) -> None:
    for workload in workloads(rendered(overlay)):
        spec = pod_spec(workload)
        assert spec is not None
        assert spec["securityContext"]["runAsNonRoot"] and spec["securityContext"]["runAsUser"] >= 10000
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert spec["automountServiceAccountToken"] is False and spec["enableServiceLinks"] is False
        for container in containers(workload):
            locked = container["securityContext"]
            assert locked == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert (
                container["resources"]["requests"].keys() >= {"cpu", "memory"}
                and "memory" in container["resources"]["limits"]
            )


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_image_names_its_registry_and_an_exact_version(rendered: Render, overlay: str) -> None:
    for workload in workloads(rendered(overlay)):
        for container in containers(workload):
            registry, _, rest = container["image"].partition("/")
            assert "." in registry and (":" in rest or "@sha256:" in rest) and not rest.endswith(":latest"), container[
                "image"
            ]


@pytest.mark.parametrize("overlay", ["dev", "prod"])
def test_every_pod_of_the_namespace_is_closed_but_for_flows_that_exist(rendered: Render, overlay: str) -> None:
    policies = [
        one for one in rendered(overlay) if one["kind"] == "NetworkPolicy" and one["metadata"]["namespace"] == "finest"
    ]
    assert {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]} in [one["spec"] for one in policies]
    asked = {
        label
        for workload in workloads(rendered(overlay))
        for label in pod_labels(workload)
        if label.startswith("access-")
    }
    opened = {
        label
        for one in policies
        for label in one["spec"]["podSelector"].get("matchLabels", {})
        if label.startswith("access-")
    }
    assert asked == opened == {"access-mlflow", "access-database", "access-storage", "access-webhook"}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_secrets_are_references_and_no_manifest_holds_one(rendered: Render, overlay: str) -> None:
    assert [one["metadata"]["name"] for one in rendered(overlay) if one["kind"] == "Secret"] == []
    for workload in workloads(rendered(overlay)):
        for container in containers(workload):
            for variable in container.get("env", []):
                if any(word in variable["name"] for word in ("PASSWORD", "SECRET", "KEY", "TOKEN", "WEBHOOK")):
                    assert "secretKeyRef" in variable.get("valueFrom", {}) or variable["value"].startswith(
                        ("$(", '"$(')
                    ), variable


def test_every_secret_that_the_manifests_name_is_made_in_the_guide(rendered: Render) -> None:
    guide = (Path(__file__).parents[3] / "docs" / "cluster.md").read_text()
    used = [workload for overlay in OVERLAYS for workload in workloads(rendered(overlay))]
    named = {(workload["metadata"]["namespace"], name) for workload in used for name in secrets(workload)}
    assert len(named) >= 7
    for namespace, name in sorted(named):
        assert f"kubectl -n {namespace} create secret generic {name} " in guide, (namespace, name)


def secrets(workload: Document) -> set[str]:
    spec = pod_spec(workload) or {}
    variables = [variable for container in containers(workload) for variable in container.get("env", [])]
    read = {
        variable["valueFrom"]["secretKeyRef"]["name"]
        for variable in variables
        if "secretKeyRef" in variable.get("valueFrom", {})
    }
    return read | {volume["secret"]["secretName"] for volume in spec.get("volumes", []) if "secret" in volume}


def test_the_steps_find_the_names_that_they_are_compiled_with(rendered: Render) -> None:
    from pipeline.policy import STEP_LABEL, Cluster

    for overlay in ("dev", "prod"):
        documents = rendered(overlay)
        assert find(documents, "ConfigMap", Cluster().endpoints)["data"].keys() >= {"MLFLOW_TRACKING_URI", "AWS_REGION"}
        assert find(documents, "NetworkPolicy", "finest-steps")["spec"]["podSelector"] == {
            "matchLabels": dict([STEP_LABEL])
        }
        callers = find(documents, "NetworkPolicy", "mlflow")["spec"]["ingress"][0]["from"]
        assert {"matchLabels": dict([STEP_LABEL])} in [caller.get("podSelector") for caller in callers]
    specs = [pod_spec(one) or {} for one in workloads(rendered("prod"))]
    assert {spec["securityContext"]["runAsUser"] for spec in specs} == {Cluster().user}


def test_the_jobs_find_all_scripts_that_they_are_tested_with(rendered: Render) -> None:
    files = {path.name: path.read_text() for path in (K8S / "base" / "scripts").iterdir() if path.is_file()}
    assert find(rendered("dev"), "ConfigMap", "scripts")["data"] == files


@pytest.mark.parametrize("overlay", ["dev", "prod"])
def test_what_the_guide_applies_before_a_migration_is_all_that_the_job_needs(rendered: Render, overlay: str) -> None:
    guide = (ROOT / "docs" / "operations.md").read_text()
    chosen = re.search(r"kubectl apply -l 'app.kubernetes.io/name in \((.*?)\)'", guide)
    assert chosen
    applied = [
        one
        for one in rendered(overlay)
        if one["metadata"].get("labels", {}).get("app.kubernetes.io/name") in chosen[1].split(", ")
    ]
    job = find(applied, "CronJob", "migrate")
    spec = pod_spec(job)
    assert spec is not None
    mounted = {
        volume["configMap"]["name"]
        for volume in spec["volumes"]
        if not volume.get("configMap", {"optional": True}).get("optional")
    }
    read = {source["configMapRef"]["name"] for container in containers(job) for source in container["envFrom"]}
    assert mounted | read == {one["metadata"]["name"] for one in applied if one["kind"] == "ConfigMap"}
    assert {one["kind"] for one in applied} == {"CronJob", "ConfigMap"}
