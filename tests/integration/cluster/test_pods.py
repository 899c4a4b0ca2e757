"""What pods say of why a step waits or has failed, as a Kubernetes API tells it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client as kube

from pipeline.cluster.pods import Pods, Reason
from tests.services import fake_kubernetes, recorded
from tests.services.fake_kubernetes import FakeKubernetes

RUN, NODE = "run-1", "finest-abc12(0).root(0).pretrain(0).executor(0)"
SCHEDULER = (
    "0/3 nodes are available: 1 Insufficient memory, 2 node(s) had untolerated taint {nvidia.com/gpu: present}. "
    "no new claims to deallocate, preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling."
)
GATED = "Scheduling is blocked due to non-empty scheduling gates"
RESTARTED = "back-off 10s restarting failed container=kfp-launcher"
MISSING = 'Back-off pulling image "registry/team/finest@sha256:0": ErrImagePull: rpc error: code = NotFound: not found'


@pytest.fixture
def pods(kubernetes: FakeKubernetes) -> Callable[..., Pods]:
    """Looks at the run's pods."""

    def look(notes: list[str] | None = None, live: bool = True) -> Pods:
        found = Pods("kubeflow", RUN, (notes if notes is not None else []).append)
        found.look(live)
        return found

    return look


def container(name: str = "main", image: str = "registry/team/finest:1", **state: Any) -> kube.V1ContainerStatus:
    return kube.V1ContainerStatus(
        name=name, image=image, image_id="", ready=False, restart_count=0, state=kube.V1ContainerState(**state)
    )


def waiting(reason: str, message: str | None = None, **facts: Any) -> kube.V1ContainerStatus:
    return container(waiting=kube.V1ContainerStateWaiting(reason=reason, message=message), **facts)


def ended(code: int, reason: str = "Error", message: str | None = None, name: str = "main") -> kube.V1ContainerStatus:
    return container(name, terminated=kube.V1ContainerStateTerminated(exit_code=code, reason=reason, message=message))


def condition(type: str, status: str, reason: str, message: str) -> list[kube.V1PodCondition]:
    return [kube.V1PodCondition(type=type, status=status, reason=reason, message=message)]


@pytest.mark.parametrize(
    ("facts", "text"),
    [
        (
            {"conditions": condition("PodScheduled", "False", "Unschedulable", SCHEDULER)},
            "0/3 nodes are available: 1 Insufficient memory, 2 node(s) had untolerated taint {nvidia.com/gpu: present}",
        ),
        ({"conditions": condition("PodScheduled", "False", "SchedulingGated", GATED)}, GATED),
        ({"container_statuses": [waiting("ImagePullBackOff", MISSING)]}, f"ImagePullBackOff: {MISSING}"),
        ({"container_statuses": [waiting("ErrImageNeverPull", image="finest:1")]}, "ErrImageNeverPull: finest:1"),
        (
            {"container_statuses": [waiting("CreateContainerConfigError", 'secret "finest-s3"\nnot found')]},
            'CreateContainerConfigError: secret "finest-s3" not found',
        ),
        (
            {"init_container_statuses": [waiting("CrashLoopBackOff", RESTARTED, name="init")]},
            f"CrashLoopBackOff: {RESTARTED}",
        ),
        ({"container_statuses": [waiting("PodInitializing")]}, ""),
        ({}, ""),
    ],
)
def test_a_pending_pod_says_what_it_waits_for(
    kubernetes: FakeKubernetes, pods: Callable[..., Pods], facts: dict[str, Any], text: str
) -> None:
    kubernetes.add_step(RUN, NODE, "Pending", **facts)
    reason = pods().waits(NODE)
    assert (reason.text if reason else "") == text


@pytest.mark.parametrize(
    ("events", "text"),
    [
        ([("Normal", "Pulling", 'Pulling image "registry/team/finest:1"')], 'pulling image "registry/team/finest:1"'),
        ([("Normal", "Pulling", 'Pulling image "argoexec:1"'), ("Normal", "Pulled", "Successfully pulled")], ""),
        (
            [("Normal", "Scheduled", "Assigned"), ("Warning", "FailedMount", "no such volume")],
            "FailedMount: no such volume",
        ),
        ([("Warning", "FailedScheduling", SCHEDULER), ("Normal", "Scheduled", "Assigned")], ""),
    ],
)
def test_what_a_pod_says_nothing_of_its_newest_event_may(
    kubernetes: FakeKubernetes, pods: Callable[..., Pods], events: list[tuple[str, str, str]], text: str
) -> None:
    pod = kubernetes.add_step(RUN, NODE, "Pending", container_statuses=[waiting("ContainerCreating")])
    for second, (type, reason, message) in enumerate(events):
        kubernetes.add_event(pod, type, reason, message, f"2026-11-26T16:00:0{second}Z")
    kubernetes.events.reverse()
    found = pods().waits(NODE)
    assert (found.text if found else "") == text


def test_the_recorded_scheduler_is_heard_before_the_pod_has_its_condition(
    kubernetes: FakeKubernetes, pods: Callable[..., Pods]
) -> None:
    told = [fake_kubernetes.read(event, "CoreV1Event") for event in recorded.answer("events-failed-scheduling")]
    kubernetes.add_step(RUN, NODE, "Pending").metadata.uid = told[-1].involved_object.uid
    kubernetes.events += told
    assert pods().waits(NODE) == Reason(*["0/1 nodes are available: 1 Insufficient cpu"] * 2)


def test_errors_of_one_image_that_take_turns_are_of_one_kind(
    kubernetes: FakeKubernetes, pods: Callable[..., Pods]
) -> None:
    pod = kubernetes.add_step(RUN, NODE, "Pending", container_statuses=[waiting("ErrImagePull", "not found")])
    first = pods().waits(NODE)
    pod.status.container_statuses = [waiting("ImagePullBackOff", MISSING)]
    second = pods().waits(NODE)
    assert first and second and first.kind == second.kind and first.text != second.text


@pytest.mark.parametrize(
    ("facts", "text"),
    [
        ({"container_statuses": [ended(1)]}, "exit code 1"),
        ({"container_statuses": [ended(137)]}, "exit code 137 (SIGKILL)"),
        (
            {"container_statuses": [ended(128, "StartError", "exec: python3: not found")]},
            "StartError: exec: python3: not found",
        ),
        ({"container_statuses": [ended(0, "Completed"), ended(64, name="wait")]}, "container wait: exit code 64"),
        ({"container_statuses": [ended(64, name="wait"), ended(1)]}, "exit code 1"),
        ({"container_statuses": [ended(1, "OOMKilled")]}, "OOMKilled"),
        (
            {
                "reason": "Evicted",
                "message": "The node was low on resource: memory. Threshold quantity: 100Mi, available: 60Mi. ",
            },
            "Evicted: The node was low on resource: memory. Threshold quantity: 100Mi, available: 60Mi.",
        ),
        (
            {"reason": "DeadlineExceeded", "message": "Pod was active on the node longer than the specified deadline"},
            "DeadlineExceeded: Pod was active on the node longer than the specified deadline",
        ),
        (
            {
                "conditions": condition(
                    "DisruptionTarget", "True", "PreemptionByScheduler", "preempted for a higher priority"
                ),
                "container_statuses": [ended(143)],
            },
            "PreemptionByScheduler: preempted for a higher priority",
        ),
        ({}, ""),
    ],
)
def test_a_failed_pod_says_what_ended_it(
    kubernetes: FakeKubernetes, pods: Callable[..., Pods], facts: dict[str, Any], text: str
) -> None:
    kubernetes.add_step(RUN, NODE, "Failed", **facts)
    assert pods().failed(NODE) == text


def test_the_recorded_pod_that_ran_out_of_memory_says_so_with_its_limit(
    kubernetes: FakeKubernetes, pods: Callable[..., Pods]
) -> None:
    pod = fake_kubernetes.read(recorded.answer("pod-out-of-memory"), "V1Pod")
    pod.metadata.labels["pipeline/runid"] = RUN
    kubernetes.pods.append(pod)
    assert pods().failed(fake_kubernetes.node(pod)) == "OOMKilled (its limit is 600Mi)"
    resources = kube.V1ResourceRequirements(limits={"memory": "4Gi"})
    pod.spec = kube.V1PodSpec(containers=[kube.V1Container(name="main", resources=resources)])
    assert pods().failed(fake_kubernetes.node(pod)) == "OOMKilled (its limit is 4Gi)"


def test_a_pod_that_was_deleted_is_told_from_one_that_was_cleaned_up(
    kubernetes: FakeKubernetes, pods: Callable[..., Pods]
) -> None:
    assert pods().failed(NODE) == ""  # nothing is left of the run
    kubernetes.add_step(RUN, "finest-abc12(0).root(0).preflight(0).executor(0)", "Succeeded")
    assert pods().failed(NODE) == "pod deleted"
    pod = kubernetes.add_step(RUN, NODE, "Running", container_statuses=[ended(143)])
    pod.metadata.deletion_timestamp = "2026-11-26T16:00:00Z"
    assert pods().failed(NODE) == "pod deleted"


def test_what_a_pod_said_before_it_was_removed_is_remembered(
    kubernetes: FakeKubernetes, pods: Callable[..., Pods]
) -> None:
    kubernetes.add_step(RUN, "finest-abc12(0).root(0).preflight(0).executor(0)", "Succeeded")
    pod = kubernetes.add_step(RUN, NODE, "Failed", container_statuses=[ended(1)])
    watched = pods()
    kubernetes.pods.remove(pod)
    watched.look(live=True)
    assert watched.failed(NODE) == "exit code 1"


def test_a_pod_that_a_quota_keeps_out_is_missed(kubernetes: FakeKubernetes, pods: Callable[..., Pods]) -> None:
    kubernetes.add_step(RUN, "finest-abc12(0).root(0).preflight(0).executor(0)", "Succeeded")
    reason = pods().waits(NODE)
    assert reason and reason.text == "Kubernetes has no pod for it: a quota may be used up, or it was deleted"


def test_a_cluster_that_has_no_pod_of_the_run_is_noted_after_a_while(
    kubernetes: FakeKubernetes, pods: Callable[..., Pods], monkeypatch: pytest.MonkeyPatch
) -> None:
    kubernetes.add_step("another", NODE, "Failed", container_statuses=[ended(1)])
    notes: list[str] = []
    assert pods(notes).failed(NODE) == "" and notes == []
    monkeypatch.setattr("pipeline.cluster.pods.EMPTY_SECONDS", 0.0)
    assert pods(notes, live=False).failed(NODE) == "" and notes == []
    assert pods(notes).failed(NODE) == ""
    assert notes == [
        "why steps wait or fail is not shown: "
        "namespace kubeflow of the current kubeconfig's cluster has no pod of this run"
    ]


def test_pods_that_may_not_be_read_are_noted_once(kubernetes: FakeKubernetes, pods: Callable[..., Pods]) -> None:
    kubernetes.add_step(RUN, NODE, "Pending")
    notes: list[str] = []
    address = kubernetes.http.url.removeprefix("http://")
    kubernetes.forbidden = {"events"}
    watched = pods(notes)
    assert [watched.waits(NODE), watched.waits(NODE)] == [None, None]
    assert notes == [
        f"not all that pods wait for is shown: this user may not read events of kubeflow (403 Forbidden from {address})"
    ]
    kubernetes.forbidden, notes = {"pods"}, []
    watched = pods(notes)
    watched.look(live=True)
    assert (watched.waits(NODE), watched.failed(NODE)) == (None, "")
    assert notes == [
        f"why steps wait or fail is not shown: this user may not read pods of kubeflow (403 Forbidden from {address})"
    ]
    assert sum("/pods" in request.path for request in kubernetes.http.asked) == 2


def test_an_api_that_goes_away_is_left_alone_for_a_minute_and_asked_again(
    kubernetes: FakeKubernetes, pods: Callable[..., Pods], monkeypatch: pytest.MonkeyPatch
) -> None:
    kubernetes.add_step(RUN, NODE, "Failed", container_statuses=[ended(1)])
    notes: list[str] = []
    watched = pods(notes)
    kubernetes.forbidden = {"pods"}
    watched.look(live=True)
    kubernetes.forbidden = set()
    watched.look(live=True)
    assert watched.states() == {} and watched.failed(NODE) == "exit code 1" and len(notes) == 1
    later = watched.not_before + 1
    monkeypatch.setattr("pipeline.cluster.pods.time.monotonic", lambda: later)
    watched.look(live=True)
    assert watched.states() == {NODE: "failed"} and len(notes) == 1


@pytest.mark.parametrize("content", ["a: [b", "- not", "a kubeconfig", "", "apiVersion: v1"])
def test_a_kubeconfig_that_is_none_is_a_note(
    pods: Callable[..., Pods], content: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "kubeconfig").write_text(content)
    notes: list[str] = []
    assert pods(notes).states() == {} and len(notes) == 1
    assert notes[0].startswith("why steps wait or fail is not shown: no Kubernetes API is known here (")
