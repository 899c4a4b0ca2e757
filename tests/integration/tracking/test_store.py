import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from finest.errors import FinestError
from finest.secrets import masked
from tracking import answer, embedded, store


def checked_in_a_process(environment: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-c", "from tracking import answer; answer.check('finest')"]
    return subprocess.run(command, capture_output=True, text=True, env=environment)


def test_check_creates_the_embedded_store_quietly_and_leaves_no_probe_behind(tmp_path: Path) -> None:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("MLFLOW_")} | {
        "FINEST_STATE": str(tmp_path)
    }
    done = checked_in_a_process(environment)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (tmp_path / "mlflow" / "mlflow.db").is_file()
    assert [path for path in (tmp_path / "mlflow" / "artifacts").rglob("*") if path.is_file()] == []


def test_runs_go_to_one_experiment_whose_artifacts_lie_beside_the_database(state: Path) -> None:
    client = store.connect()
    assert store.experiment_id(client, "finest") == store.experiment_id(client, "finest")
    experiment = client.get_experiment(store.experiment_id(client, "finest"))
    place = embedded.location(state / "mlflow" / "artifacts")
    assert (experiment.name, experiment.artifact_location) == ("finest", place)


def test_a_server_that_does_not_listen_is_one_line_without_credentials_within_seconds(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://someone:hunter2@127.0.0.1:{port}/mlflow")
    started = time.monotonic()
    with pytest.raises(FinestError) as raised:
        answer.check("finest")
    assert time.monotonic() - started < 15
    message = str(raised.value)
    cause = f"no connection to 127.0.0.1:{port}: refused; start the server"
    assert message.startswith(f"MLflow at http://***@127.0.0.1:{port}/mlflow cannot be used: {cause}")
    assert "\n" not in message and "hunter2" not in message and "someone" not in message


def test_a_server_that_accepts_and_never_answers_is_given_up(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answer, "ANSWER_SECONDS", 1)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        port = silent.getsockname()[1]
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{port}")
        with pytest.raises(FinestError, match=rf"no answer from 127.0.0.1:{port} in time"):
            answer.check("finest")


def test_a_traceback_of_the_failed_check_holds_no_credentials(tmp_path: Path) -> None:
    environment = dict(
        os.environ, FINEST_STATE=str(tmp_path), MLFLOW_TRACKING_URI="postgresql://someone:hunter2@127.0.0.1:1/db"
    )
    done = checked_in_a_process(environment)
    assert done.returncode == 1 and "FinestError: MLflow at postgresql://***@127.0.0.1:1/db" in done.stderr
    assert "hunter2" not in done.stderr + done.stdout


def test_a_state_folder_that_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("FINEST_STATE", str(tmp_path / "file"))
    with pytest.raises(FinestError, match=r"mlflow.db cannot be used: .*FINEST_STATE"):
        answer.check("finest")


def test_a_store_that_answers_but_keeps_no_artifacts_is_refused(state: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    store.connect().create_experiment("finest", artifact_location=str(tmp_path / "file" / "artifacts"))
    with pytest.raises(FinestError, match=r"mlflow.db cannot be used: NotADirectoryError"):
        answer.check("finest")


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("https://me:secret@host:5000/a?token=t x", "https://***@host:5000/a?*** x"),
        ("sqlite:////a/b.db", "sqlite:////a/b.db"),
        ("'s3://bucket/key@1'", "'s3://bucket/key@1'"),
        ("postgresql://u:p%40ss@db/x", "postgresql://***@db/x"),
    ],
)
def test_masked_hides_users_passwords_and_queries_only(text: str, clean: str) -> None:
    assert masked(text) == clean
