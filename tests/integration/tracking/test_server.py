"""The cluster's way: an MLflow server that keeps the artifacts."""

import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from finest.errors import FinestError
from tests.canaries import in_process
from tracking import answer, closing, promotion, records, registry, runs
from tracking.outcome import Outcome, outcome
from tracking.promotion import Before, Judged

HISTORIES = [["i001", "i002"], ["i003"]]


@pytest.fixture
def server(tmp_path: Path, state: Path, empty_database: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A server on a free port, with credentials in the URI that clients are given."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder = tmp_path / "server"
    folder.mkdir()
    (folder / "mlflow.db").write_bytes(empty_database.read_bytes())
    command = [
        sys.executable,
        "-m",
        "mlflow",
        "server",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--workers",
        "1",
        "--backend-store-uri",
        f"sqlite:///{folder}/mlflow.db",
        "--serve-artifacts",
        "--artifacts-destination",
        str(folder / "artifacts"),
    ]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder)
    try:
        while not _healthy(port):
            assert process.poll() is None, (folder / "log").read_text()
            time.sleep(0.2)
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://someone:hunter2@127.0.0.1:{port}")
        yield f"http://someone:hunter2@127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(30)


def _healthy(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


@pytest.mark.slow
def test_a_whole_run_through_a_server_promotes_and_comes_back(
    server: str,
    judged: Callable[..., Judged],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    answer.check("finest")
    parent = runs.open_parent({}, line="finest", source="s3://bucket/day", seed=0, tags={})
    candidate = judged(0)
    (tmp_path / "report").write_text("<h1>report</h1>")
    with runs.step_run("gate") as run:
        records.log_dataset(run, candidate.manifest, "s3://bucket/day")
        records.log_verdict(run, candidate.verdict, {"report.html": tmp_path / "report"}, {})
    with runs.step_run("promote") as run:
        made = promotion.promote(run, "finest-test", candidate, Before("", 0), in_process)
    with pytest.raises(FinestError), runs.step_run("ingest"):
        raise FinestError("a.csv: empty")
    closing.close_parent("FINISHED")
    assert outcome("run-1", "finest-test") == Outcome("pass", "ingest", "a.csv: empty", made.version)
    assert (registry.download(made, tmp_path / "download") / "weights.safetensors").exists()
    assert {item.path for item in run.client.list_artifacts(parent)} == {"config.yaml", "model_card.md", "report.html"}
    printed = capfd.readouterr()
    assert "hunter2" not in printed.out + printed.err
