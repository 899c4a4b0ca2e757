"""What a step hears from KFP's API and Kubernetes' of its own run, by recorded answers of real ones."""

import logging
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from components import backend, events, pods
from components.backend import Record, record
from components.notify.config import Notify
from components.notify.work import finish, message
from components.preflight.work import stands_for
from components.step import StepAtWork
from finest.errors import OutOfMemoryError
from tests.integration.components.test_notify import Receiver, webhook  # noqa: F401 - a fixture
from tests.services import fake_kfp, fake_kubernetes, recorded
from tests.services.fake_http import Answer
from tests.services.fake_kfp import FakeKfp
from tests.services.fake_kubernetes import FakeKubernetes
from tests.services.process import free_port
from tracking.outcome import Outcome, outcome
from tracking.runs import find_parent, open_parent
from tracking.store import connect

SCHEDULED = {"scheduled_at": "2026-11-26T16:24:00Z", "created_at": "2026-11-26T16:24:17Z"}
"""Of the first run of a recurring run, as the backend gave it."""


@pytest.fixture
def kfp(local_run: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeKfp]:
    """The backend of a step's run, which is on a cluster then."""
    monkeypatch.delenv(events.VARIABLE)
    with fake_kfp.serve() as server:
        monkeypatch.setenv("KFP_HOST", server.url)
        yield server


def known(kfp: FakeKfp, name: str, run: str, **changes: Any) -> None:
    """The API has the recorded run under the id of the step's run."""
    answer = recorded.answer(name) | changes | {"run_id": run}
    kfp.http.routes.insert(0, ("GET", f"/apis/v2beta1/runs/{run}", lambda request: Answer(200, answer)))


def test_a_scheduled_run_stands_for_the_schedules_own_time(kfp: FakeKfp, local_run: str) -> None:
    known(kfp, "lost-pod", local_run, **SCHEDULED)
    assert record() == Record("2026-11-26T16:24:00Z", False)
    assert stands_for("", SCHEDULED["created_at"]) == datetime(2026, 11, 26, 16, 24, tzinfo=UTC)
    assert stands_for("2026-11-20", SCHEDULED["created_at"]) == datetime(2026, 11, 20, tzinfo=UTC)


def test_a_backend_that_has_no_such_time_leaves_that_of_creation(kfp: FakeKfp, local_run: str) -> None:
    known(kfp, "lost-pod", local_run, scheduled_at="1970-01-01T00:00:00Z")
    assert stands_for("", SCHEDULED["created_at"]) == datetime(2026, 11, 26, 16, 24, 17, tzinfo=UTC)


@pytest.mark.parametrize(
    ("name", "cancelled"), [("terminated", True), ("killed", False), ("lost-pod", False), ("two-groups", False)]
)
def test_a_cancelled_run_is_told_from_one_that_failed(kfp: FakeKfp, local_run: str, name: str, cancelled: bool) -> None:
    known(kfp, name, local_run)
    found = record()
    assert found is not None and found.cancelled is cancelled


def test_an_api_that_does_not_let_steps_in_is_a_line_in_the_log(
    kfp: FakeKfp, local_run: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("FINEST_PATIENCE_SECONDS", "60")
    kfp.token = "of somebody else"
    assert record() is None and "it answers 401, since this account may not read runs" in caplog.text
    assert stands_for("", SCHEDULED["created_at"]) == datetime(2026, 11, 26, 16, 24, 17, tzinfo=UTC)


def test_an_api_that_is_not_there_is_waited_for_no_longer_than_it_is_worth(
    local_run: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv(events.VARIABLE)
    monkeypatch.setenv("KFP_HOST", f"http://127.0.0.1:{(port := free_port())}")
    monkeypatch.setenv("FINEST_PATIENCE_SECONDS", "600")
    monkeypatch.setattr(backend, "LONGEST_SECONDS", 1.0)
    began = time.monotonic()
    assert record() is None and 0.9 < time.monotonic() - began < 60
    assert f"no connection to 127.0.0.1:{port}: refused" in caplog.text


def test_an_api_that_comes_back_is_heard(local_run: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(events.VARIABLE)
    monkeypatch.setenv("FINEST_PATIENCE_SECONDS", "60")
    with fake_kfp.serve() as server:
        known(server, "terminated", local_run)
        answers = server.http.answer
        monkeypatch.setenv("KFP_HOST", server.url)
        broken = iter([503, 503])
        server.http.before = lambda request: Answer(status) if (status := next(broken, None)) else None
        assert record() == Record(str(recorded.answer("terminated")["scheduled_at"]), True) and answers is not None


def test_a_cancelled_run_is_killed_in_mlflow_and_cancelled_in_the_webhook(
    kfp: FakeKfp,
    local_run: str,
    webhook: Receiver,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    known(kfp, "terminated", local_run)
    monkeypatch.setenv("FINEST_WEBHOOK", webhook.url)
    run = open_parent({}, line="finest", source="data.csv", seed=0, tags={"as_of": "2026-11-02T00:00:00Z"})
    experiment = connect().get_run(run).info.experiment_id
    step = connect().create_run(experiment, tags={"pipeline_run": run, "step": "pretrain"}, run_name="pretrain")
    finish(Notify(), "finest", str(tmp_path / "checkpoints"), "FAILED")
    ended = connect().get_run(run)
    assert (ended.info.status, ended.info.run_name[:20]) == ("KILLED", "2026-11-02 cancelled")
    assert connect().get_run(step.info.run_id).data.tags["error"] == "cancelled"
    (said,) = webhook.got
    assert (said["text"], said["state"], said["failed_step"]) == (
        f"FINEST finest, run {local_run}: cancelled",
        "CANCELLED",
        None,
    )


def test_the_webhook_names_the_page_where_others_can_open_it(local_run: str) -> None:
    said = message(
        "finest",
        Outcome("fail", None, None, None),
        "SUCCEEDED",
        page="https://mlflow.example.com/#/experiments/1/runs/ab",
    )
    assert str(said["text"]).endswith("verdict fail https://mlflow.example.com/#/experiments/1/runs/ab")
    assert message("finest", None, "FAILED")["text"].endswith(
        "ended FAILED; its verdict is not known here, since MLflow did not answer"
    )


def test_the_webhook_is_told_when_mlflow_is_away(
    local_run: str,
    webhook: Receiver,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FINEST_WEBHOOK", webhook.url)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{free_port()}")
    finish(Notify(), "finest", str(tmp_path / "checkpoints"), "FAILED")
    assert "since MLflow did not answer" in str(webhook.got[0]["text"])


@pytest.fixture
def kubernetes(kfp: FakeKfp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeKubernetes]:
    """The API of the cluster that the step's pod is in."""
    with fake_kubernetes.serve() as api:
        folder = tmp_path / "serviceaccount"
        folder.mkdir()
        (folder / "namespace").write_text("kubeflow")
        monkeypatch.setattr(pods, "NAMESPACE", folder / "namespace")

        def in_cluster(client_configuration: Any) -> None:
            client_configuration.host = api.http.url

        monkeypatch.setattr("kubernetes.config.load_incluster_config", in_cluster)
        yield api


def killed(run: str, attempt: int = 2, group: int = 0) -> Any:
    """The recorded pod, as another attempt of another group's."""
    pod = recorded.answer("pod-out-of-memory")
    pod["metadata"]["labels"]["pipeline/runid"] = run
    name = pod["metadata"]["annotations"]["workflows.argoproj.io/node-name"]
    name = name.replace("(0:0)", f"({group}:{group})").replace("executor(2)", f"executor({attempt})")
    pod["metadata"]["annotations"]["workflows.argoproj.io/node-name"] = name
    return fake_kubernetes.read(pod, "V1Pod")


def test_a_pod_that_was_killed_whole_for_want_of_memory_is_told_by_its_step_and_limit(
    kubernetes: FakeKubernetes,
    local_run: str,
    webhook: Receiver,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kubernetes.pods = [killed(local_run)]
    monkeypatch.setenv("FINEST_WEBHOOK", webhook.url)
    run = open_parent({}, line="finest", source="data.csv", seed=0, tags={})
    tags = {"pipeline_run": run, "step": "pretrain", "group": "0"}
    connect().create_run(connect().get_run(run).info.experiment_id, tags=tags, run_name="pretrain 0")
    finish(Notify(), "finest", str(tmp_path / "checkpoints"), "FAILED")
    line = "out of memory: 600Mi, the limit of its container (OOMKilled), is too little; raise placement.memory"
    assert webhook.got[0]["text"] == f"FINEST finest, run {local_run}: failed in pretrain: {line}"
    assert outcome(local_run, "finest").error == line and find_parent() == run


def test_a_step_whose_pods_were_killed_twice_for_want_of_memory_does_not_train_again(
    kubernetes: FakeKubernetes, local_run: str
) -> None:
    opened = open_parent({}, line="finest", source="data.csv", seed=0, tags={})
    run: Any = SimpleNamespace(client=connect(), id="x", parent="y")
    step = StepAtWork("pretrain", "1", run)
    kubernetes.pods = [killed(local_run, 0, 1), killed(local_run, 0, 0), killed("another run", 1, 1)]
    assert pods.explained("pretrain", "1") and pods.explained("pretrain", "1", least=2) is None
    assert pods.explained("finetune", "1") is None and pods.explained("pretrain", "2") is None
    kubernetes.pods.append(killed(local_run, 1, 1))
    with pytest.raises(OutOfMemoryError, match=r"pretrain: out of memory 2 times: 600Mi, .* raise placement\.memory"):
        step.train(lambda report: None)
    connect().set_terminated(opened)


def test_pods_that_may_not_be_read_are_a_line_in_the_log(
    kubernetes: FakeKubernetes, local_run: str, caplog: pytest.LogCaptureFixture
) -> None:
    kubernetes.forbidden = {"pods"}
    with caplog.at_level(logging.WARNING):
        assert pods.explained("pretrain", "0") is None
    assert "why pods of this run have failed is not known: the Kubernetes API answers 403" in caplog.text


def test_every_step_that_runs_out_of_memory_names_its_own_setting() -> None:
    from pipeline.policy import POLICIES

    keys = {"training": "placement.memory", "data": "placement.data_memory", "small": "placement.small_memory"}
    assert {step: pods.MEMORY_OF.get(step, keys["small"]) for step in POLICIES} == {
        step: keys[row.size] for step, row in POLICIES.items()
    }


def test_a_local_run_asks_nobody(local_run: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KFP_HOST", "http://127.0.0.1:9")
    before = threading.active_count()
    assert record() is None and pods.explained("pretrain", "0", least=0) is None and threading.active_count() == before
