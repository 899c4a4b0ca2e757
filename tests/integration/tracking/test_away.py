"""MLflow's server, its database or its store is away for a moment: every call waits, nothing is twice or lost."""

import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import requests  # type: ignore[import-untyped]
import sqlalchemy.exc
from mlflow.exceptions import MlflowException

from finest.errors import FinestError, UnavailableError
from tests.canaries import in_process
from tests.services.outage import Installation
from tracking import answer, promotion, registry, runs, store
from tracking.away import Patient, away
from tracking.promotion import Before, Judged
from tracking.records import Curves

SECONDS = 2.0


@pytest.fixture
def run(installation: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The parent of a pipeline run in a step's environment; its id."""
    for name in ("MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_ID", "MLFLOW_EXPERIMENT_NAME", "MLFLOW_HTTP_REQUEST_MAX_RETRIES"):
        monkeypatch.delenv(name, raising=False)
    for name, value in installation.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("FINEST_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("FINEST_PATIENCE_SECONDS", "120")
    monkeypatch.setenv("KFP_RUN_ID", tmp_path.name)
    answer.check("finest")
    return runs.open_parent({}, line="finest", source="s3://bucket/data", seed=0, tags={})


@contextmanager
def without(installation: Installation, name: str) -> Iterator[None]:
    service = installation.services[name]
    service.down()
    thread = threading.Timer(SECONDS, service.up)
    thread.start()
    try:
        yield
    finally:
        thread.join()


def a_step(parent: str, folder: Path) -> None:
    with runs.step_run("gate") as run:
        run.client.log_dict(parent, {"it": "is here"}, "a.json")
    names = [child.info.run_name for child in runs.children(store.connect(), parent)]
    assert names.count("gate") == 1
    assert Path(store.connect().download_artifacts(parent, "a.json", str(folder))).read_text().strip() != ""


def a_check(parent: str, folder: Path) -> None:
    answer.check("finest")


@pytest.mark.parametrize(
    ("name", "work"), [("mlflow", a_step), ("database", a_step), ("store", a_step), ("store", a_check)]
)
def test_what_is_away_is_waited_for_with_a_line_a_wait(
    installation: Installation,
    run: str,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    name: str,
    work: Callable[[str, Path], None],
) -> None:
    with without(installation, name), caplog.at_level(logging.INFO):
        work(run, tmp_path)
    waits = [
        record.message
        for record in caplog.records
        if record.message.startswith("waiting for MLflow at http://127.0.0.1:")
    ]
    assert waits and "is back after" in caplog.text


def test_a_promotion_waits_and_registers_one_version(
    installation: Installation,
    run: str,
    judged: Callable[..., Judged],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    moments = iter([4, 9])
    calls, next_at = [0], [next(moments)]
    original = Patient.wait

    def wait(self: Patient, call: Callable[[], object]) -> object:
        calls[0] += 1
        if calls[0] == next_at[0]:
            next_at[0] = next(moments, 0)
            with without(installation, "mlflow"):
                return original(self, call)
        return original(self, call)

    with runs.step_run("promote") as step:
        monkeypatch.setattr(Patient, "wait", wait)
        made = promotion.promote(step, "finest-away", judged(3), Before("", 0), in_process)
    assert next_at == [0] and made.aliases == ("champion",)
    assert [version.version for version in registry.list_versions("finest-away")] == ["1"]


def test_an_answer_that_was_lost_does_not_make_a_second_run(
    installation: Installation, run: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client: Any = store.connect()
    create = client._client.create_run
    lost = [True]

    def breaks(*arguments: Any, **keywords: Any) -> Any:
        made = create(*arguments, **keywords)
        if lost.pop():
            lost.append(False)
            raise requests.ConnectionError("Connection reset by peer")
        return made

    monkeypatch.setattr(client._client, "create_run", breaks)
    experiment = client.get_run(run).info.experiment_id
    made = client.create_run(experiment, tags={"once": "1"}, run_name="once")
    found = client.search_runs([experiment], "tags.once = '1'")
    assert [one.info.run_id for one in found] == [made.info.run_id]


def test_points_of_a_curve_do_not_wait_and_are_not_lost(
    installation: Installation, run: str, caplog: pytest.LogCaptureFixture
) -> None:
    with runs.step_run("pretrain") as step:
        curves = Curves(step)
        curves.add("train/loss/clean", 3.0, 1)
        with without(installation, "mlflow"):
            began = time.monotonic()
            curves.add("train/loss/clean", 2.0, 2)
            curves.add("train/loss/clean", 1.0, 3)
            assert time.monotonic() - began < SECONDS
        assert "points of the curves wait for MLflow, 1 so far: no connection to 127.0.0.1:" in caplog.text
        curves.end()
    points = step.client.get_metric_history(step.id, "train/loss/clean")
    assert [(point.step, point.value) for point in points] == [(1, 3.0), (2, 2.0), (3, 1.0)]


def test_a_point_whose_answer_was_lost_is_there_once(
    installation: Installation, run: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with runs.step_run("pretrain") as step:
        client: Any = step.client
        send = client._client.log_batch
        answers = iter([False])

        def breaks(*arguments: Any, **keywords: Any) -> None:
            send(*arguments, **keywords)
            if not next(answers, True):
                raise MlflowException("API request failed") from requests.ConnectionError("Connection reset by peer")

        monkeypatch.setattr(client._client, "log_batch", breaks)
        curves = Curves(step)
        curves.add("train/loss/clean", 3.0, 1)
        time.sleep(0.01)  # points of the same moment would be told by it
        assert len(curves.waiting) == 1
        curves.end()
    points = step.client.get_metric_history(step.id, "train/loss/clean")
    assert [(point.step, point.value) for point in points] == [(1, 3.0)]


def test_a_server_that_stays_away_is_one_line(
    installation: Installation, run: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FINEST_PATIENCE_SECONDS", "2")
    installation.mlflow.down()
    try:
        with pytest.raises(UnavailableError) as caught:
            store.connect().get_run(run)
        assert str(caught.value).startswith(
            f"MLflow at {installation.environment['MLFLOW_TRACKING_URI']} has been away for 2"
        )
        assert "longer than steps.patience_minutes allows: no connection to 127.0.0.1:" in str(caught.value)
        with pytest.raises(FinestError, match=r"has been away for 2.* refused"):
            answer.check("finest")
    finally:
        installation.mlflow.up()


def raised(*links: BaseException) -> BaseException:
    """The first error, led to by the second, and so on."""
    for link, cause in pairwise(links):
        link.__context__ = cause
    return links[0]


REFUSED = requests.ConnectionError("HTTPConnectionPool(host='mlflow', port=5000): ... [Errno 111] Connection refused")
UNTRUSTED = requests.exceptions.SSLError("HTTPSConnectionPool(host='mlflow', port=443): ... CERTIFICATE_VERIFY_FAILED")


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (raised(MlflowException("API request failed"), REFUSED), "no connection to mlflow:5000: refused"),
        (
            raised(MlflowException("x"), requests.exceptions.RetryError("too many 503 error responses")),
            "its server answers 503",
        ),
        (requests.exceptions.ChunkedEncodingError("cut"), "its answer was cut off"),
        (
            sqlalchemy.exc.OperationalError("SELECT 1", {}, Exception("server closed the connection")),
            "its database does not answer",
        ),
        (
            sqlalchemy.exc.OperationalError("SELECT 1", {}, sqlite3.OperationalError("database is locked")),
            "its database is locked by another program",
        ),
        (
            sqlalchemy.exc.OperationalError(
                "SELECT 1", {}, Exception("FATAL: password authentication failed for user")
            ),
            None,
        ),
        (raised(MlflowException("x"), UNTRUSTED), None),
        (MlflowException("Run 'ab' not found", error_code=5), None),
        (ValueError("of our own"), None),
    ],
    ids=str,
)
def test_what_passes_is_told_from_what_does_not(error: BaseException, why: str | None) -> None:
    assert away(error) == why
