import json
import logging
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from components.notify.config import Notify
from components.notify.work import finish, message, post
from finest.errors import FinestError
from pipeline.config import Config
from tracking.outcome import Outcome
from tracking.runs import open_parent, step_run
from tracking.store import connect


class Receiver(ThreadingHTTPServer):
    """A webhook that keeps what it gets."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.got: list[dict[str, object]] = []
        self.answer = 200

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/secret-token"


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        assert isinstance(self.server, Receiver)
        self.server.got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(self.server.answer)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def webhook() -> Iterator[Receiver]:
    with Receiver() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def status(run: str) -> str:
    return str(connect().get_run(run).info.status)


def test_the_webhook_hears_of_the_verdict_and_the_run_is_closed(
    webhook: Receiver, local_run: str, config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FINEST_WEBHOOK", webhook.url)
    run = open_parent(config.model_dump(mode="json"), line="finest", source="data.csv", seed=0, tags={})
    connect().set_tag(run, "verdict", "fail")
    finish(Notify(), "finest", f"{tmp_path}/checkpoints", "SUCCEEDED")
    assert [(said["run"], said["verdict"], said["promoted_version"]) for said in webhook.got] == [
        (local_run, "fail", None)
    ]
    assert status(run) == "FINISHED"


def test_a_failed_step_is_told_by_name_and_error(
    webhook: Receiver, local_run: str, config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FINEST_WEBHOOK", webhook.url)
    run = open_parent(config.model_dump(mode="json"), line="finest", source="data.csv", seed=0, tags={})
    with pytest.raises(FinestError), step_run("ingest"):
        raise FinestError("data.csv: column item_id is missing")
    finish(Notify(), "finest", f"{tmp_path}/checkpoints", "FAILED")
    assert (
        webhook.got[0]["text"]
        == f"FINEST finest, run {local_run}: failed in ingest: data.csv: column item_id is missing"
    )
    assert status(run) == "FAILED"


@pytest.mark.parametrize("broken", ["refuses", "is not there", "is no URL"])
def test_a_webhook_that_fails_is_logged_without_its_url_and_fails_nothing(
    broken: str,
    webhook: Receiver,
    local_run: str,
    config: Config,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    webhook.answer = 500
    address = {"refuses": webhook.url, "is not there": "http://127.0.0.1:9/secret-token", "is no URL": "secret-token"}[
        broken
    ]
    monkeypatch.setenv("FINEST_WEBHOOK", address)
    run = open_parent(config.model_dump(mode="json"), line="finest", source="data.csv", seed=0, tags={})
    with caplog.at_level(logging.WARNING):
        finish(Notify(), "finest", f"{tmp_path}/checkpoints", "SUCCEEDED")
    assert "webhook failed" in caplog.text and "secret-token" not in caplog.text
    assert status(run) == "FINISHED"


def test_a_slow_webhook_is_given_up(webhook: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    def sleep(handler: Handler) -> None:
        threading.Event().wait(2)

    monkeypatch.setattr(Handler, "do_POST", sleep)
    with pytest.raises(FinestError, match="no answer"):
        post(webhook.url, {}, seconds=0.2)


def test_a_promotion_is_part_of_the_message(local_run: str) -> None:
    said = message("finest", Outcome(verdict="pass", failed_step=None, error=None, promoted_version="3"), "SUCCEEDED")
    assert said["text"] == f"FINEST finest, run {local_run}: verdict pass, promoted as version 3"
