"""The watch's script, as its CronJob runs it: it fails and tells the webhook when there is no new verdict."""

import json
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from subprocess import CompletedProcess, run

import pytest
from mlflow import MlflowClient

from tests.integration.k8s.conftest import K8S, ROOT, SECRETS
from tests.integration.k8s.containers import Document, command, container, environment, find

Watch = Callable[[str, str | None], CompletedProcess[str]]


@pytest.fixture
def webhook() -> Iterator[tuple[str, list[dict[str, object]]]]:
    """An address and what was posted to it."""
    posted: list[dict[str, object]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            posted.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/hook", posted
    server.shutdown()
    server.server_close()


@pytest.fixture
def watch(rendered: Callable[[str], list[Document]], tmp_path: Path) -> Watch:
    """Runs the container's command, with a tracking URI and a webhook."""
    one = container(rendered("prod"), "CronJob", "watch", "watch")

    def start(tracking: str, hook: str | None) -> CompletedProcess[str]:
        secrets = SECRETS | ({"finest-webhook": {"url": hook}} if hook else {})
        variables = environment(one, find(rendered("prod"), "ConfigMap", "endpoints")["data"], secrets)
        variables |= {
            "MLFLOW_TRACKING_URI": tracking,
            "HOME": str(tmp_path),
            "FINEST_STATE": str(tmp_path),
            "PYTHONPATH": str(ROOT),
        }
        line = command(one, variables, {"/scripts": str(K8S / "base" / "scripts"), "python": sys.executable})
        return run(line, env=variables, capture_output=True, text=True, cwd=tmp_path)

    return start


@pytest.fixture
def tracking(tmp_path: Path) -> str:
    """URI of a store that no run has written to."""
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    MlflowClient(uri).search_experiments()
    return uri


def test_without_a_verdict_the_job_fails_and_the_webhook_hears_why(
    watch: Watch, webhook: tuple[str, list[dict[str, object]]], tracking: str
) -> None:
    url, posted = webhook
    done = watch(tracking, url)
    assert done.returncode == 1 and "no run has a verdict yet" in done.stderr
    assert len(posted) == 1 and posted[0]["exit_code"] == 1
    assert str(posted[0]["text"]).startswith("FINEST watch: ") and "no run has a verdict yet" in str(posted[0]["text"])


def test_a_webhook_that_is_away_does_not_hide_the_failure_nor_show_its_address(watch: Watch, tracking: str) -> None:
    done = watch(tracking, "http://127.0.0.1:9/secret-path")
    assert (
        done.returncode == 1 and "no run has a verdict yet" in done.stderr and "the webhook was not told" in done.stderr
    )
    assert "secret-path" not in done.stdout + done.stderr
