"""A store that goes away and comes back: every request waits for it, and says so."""

import logging
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import pytest

from components.ingest.work import read
from components.source import listing_of, resolve
from finest.data.config import Evaluation, Ingest
from finest.errors import FinestError, UnavailableError
from finest.training.store import Store
from storage import checkpoint_store
from tests.builders import write_walks
from tests.services import s3
from tests.services.faults import CutOff, Faulty, Refusal, Request
from tests.services.outage import Service
from tests.services.process import HOST, answers, free_port
from tests.services.process import UnavailableError as NoServiceError
from tests.services.s3 import S3

SECONDS = 1.5
REPEATS = Ingest(evaluation=Evaluation(exclude_seen=False))


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    """A server of its own, which this process uses."""
    port = free_port()
    made = S3(f"http://{HOST}:{port}", tmp_path / "s3")
    made.bucket("finest")
    try:
        service = Service(s3.command(made.root, port), tmp_path / "s3.log", answers(made.endpoint))
    except NoServiceError as error:
        pytest.skip(str(error))
    for name, value in made.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("FINEST_PATIENCE_SECONDS", "60")
    service.up()
    try:
        yield service
    finally:
        service.down()


@contextmanager
def away(service: Service, seconds: float = SECONDS) -> Iterator[None]:
    service.down()
    thread = threading.Timer(seconds, service.up)
    thread.start()
    try:
        yield
    finally:
        thread.join()


def put(store: Store, folder: Path) -> None:
    (folder / "file").write_text("content")
    store.put("clean/epoch", folder / "file")


def get(store: Store, folder: Path) -> None:
    assert store.get("there", folder / "got") and (folder / "got").read_text() == "before"


def list_(store: Store, folder: Path) -> None:
    assert store.list("th") == ["there"]


def delete(store: Store, folder: Path) -> None:
    store.delete("there")
    assert store.list("there") == []


@pytest.mark.parametrize("call", [put, get, list_, delete])
def test_every_call_of_a_store_waits_for_it_with_a_line_a_wait(
    server: Service, tmp_path: Path, caplog: pytest.LogCaptureFixture, call: Callable[[Store, Path], None]
) -> None:
    store = checkpoint_store("s3://finest/checkpoints")
    (tmp_path / "before").write_text("before")
    store.put("there", tmp_path / "before")
    with away(server), caplog.at_level(logging.INFO):
        call(store, tmp_path)
    said = [record for record in caplog.records if f"S3 at http://{HOST}:" in record.message]
    assert len(said) >= 3 and "no connection (EndpointConnectionError); asked again in" in said[0].message
    for wait, after in pairwise(said):
        assert wait.message.startswith("waiting for")
        assert after.created - wait.created >= float(re.findall(r"asked again in (\S+) s", wait.message)[0]) - 0.1
    assert "is back after" in said[-1].message


def test_a_store_that_stays_away_is_one_line_that_says_how_long_it_was_waited_for(
    server: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FINEST_PATIENCE_SECONDS", "1")
    server.down()
    began = time.monotonic()
    with pytest.raises(UnavailableError) as caught:
        checkpoint_store("s3://finest/checkpoints").list("x")
    assert 0.9 < time.monotonic() - began < 60
    assert "cannot be reached (EndpointConnectionError), for 1.0 s, which is what steps.patience_minutes allows" in str(
        caught.value
    )


@pytest.mark.parametrize(
    ("status", "code"), [(403, "AccessDenied"), (404, "NoSuchBucket"), (403, "InvalidAccessKeyId")]
)
def test_a_refusal_is_not_waited_for(
    faulty: Faulty, bucket: str, monkeypatch: pytest.MonkeyPatch, status: int, code: str
) -> None:
    monkeypatch.setenv("FINEST_PATIENCE_SECONDS", "60")
    faulty.fault = lambda request: Refusal(status, code)
    began = time.monotonic()
    with pytest.raises(FinestError) as caught:
        checkpoint_store(f"s3://{bucket}/x").list("")
    assert not isinstance(caught.value, UnavailableError) and time.monotonic() - began < 60


def test_a_store_that_is_busy_is_waited_for_however_often_it_says_so(
    faulty: Faulty, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("FINEST_PATIENCE_SECONDS", "60")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    refusals = iter(range(3))
    faulty.fault = lambda request: Refusal(503, "SlowDown") if next(refusals, None) is not None else None
    put(checkpoint_store(f"s3://{bucket}/x"), tmp_path)
    assert "it answers SlowDown; asked again" in caplog.text


def test_a_source_that_goes_away_while_it_is_read_is_read_anew_to_the_same_data(
    faulty: Faulty,
    bucket: str,
    s3_server: S3,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("FINEST_PATIENCE_SECONDS", "60")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    local = write_walks(tmp_path / "data.csv")
    s3_server.client().upload_file(str(local), bucket, "data.csv")
    config, uri = REPEATS, f"s3://{bucket}/data.csv"
    listing = listing_of(resolve(uri), config)
    reads = iter(range(100))
    faults: dict[int, Refusal | CutOff] = {0: Refusal(503, "SlowDown"), 3: CutOff(10)}

    def fault(request: Request) -> Refusal | CutOff | None:
        """The first readings of the content are refused, or broken off in their middle."""
        if request.method == "GET" and "data.csv" in request.path.partition("?")[0]:
            return faults.get(next(reads))
        return None

    faulty.fault = fault
    made = read(uri, listing, 0, config, tmp_path / "remote")
    assert "was cut off" in caplog.text and "begins anew" in caplog.text
    assert (
        made.fingerprint
        == read(str(local), listing_of(resolve(str(local)), config), 0, config, tmp_path / "local").fingerprint
    )


def test_without_patience_a_source_that_goes_away_is_an_error_at_once(
    faulty: Faulty, bucket: str, s3_server: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FINEST_PATIENCE_SECONDS", raising=False)
    s3_server.client().upload_file(str(write_walks(tmp_path / "data.csv")), bucket, "data.csv")
    listing = listing_of(resolve(uri := f"s3://{bucket}/data.csv"), Ingest())
    seen: list[str] = []

    def fault(request: Request) -> Refusal | None:
        if request.method == "GET" and "data.csv" in request.path.partition("?")[0]:
            seen.append(request.path)
            return Refusal(503, "SlowDown")
        return None

    faulty.fault = fault
    with pytest.raises((FinestError, OSError)):
        read(uri, listing, 0, Ingest(), tmp_path / "out")
    assert 0 < len(seen) <= 4
