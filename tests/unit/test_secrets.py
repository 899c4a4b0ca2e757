"""What is masked, and that every exit of a process masks."""

import html
import io
import json
import logging
import urllib.request
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest

from components import events, logs
from components.notify import work as notify
from finest.errors import FinestError, one_line
from finest.secrets import MASK, masked, masked_all
from tests.planted import PLANTED, SECRETS, plant


@pytest.fixture(autouse=True)
def planted(monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch)


def said(name: str) -> list[str]:
    """Returns what a library may say of a setting: as it is, quoted, escaped, and as an address."""
    value = PLANTED[name]
    return [
        value,
        repr(value),
        json.dumps({"url": value}),
        f"cannot use {value}: no answer",
        f"cannot use {value!r}, given as {name}",
        quote(value, safe=""),
        quote_plus(value),
        html.escape(value),
    ]


@pytest.mark.parametrize("name", PLANTED)
def test_no_form_of_a_planted_value_is_left(name: str) -> None:
    for text in said(name):
        assert "LEAK" not in masked(text), masked(text)
        assert masked(masked(text)) == masked(text)


@pytest.mark.parametrize(
    "text",
    [
        "postgresql+psycopg2://mlflow:se/LEAK@db/mlflow",
        "mysql://u:a@LEAK@db/x",
        "s3a://LEAKKEY:LEAK/x@bucket/p and more",
        "GET http://h/x?LEAK failed",
        "http://h/x#token=LEAK",
        "http://h/#/experiments/1/runs?token=LEAK&workflowType=a",
        "'https://LEAK@h/x'",
        "https://acct.blob.core.windows.net/c/x?sv=1&sig=LEAK",
        "host=db user=mlflow password=LEAK dbname=x",
        "host=db password='LE AK LEAK' x",
        "AccountKey=LEAK;EndpointSuffix=core",
        "\x1b[1mhttp://u:LEAK@h\x1b[0m",
        "abfs://container:LEAK@account.dfs.core.windows.net/x",
    ],
)
def test_what_stands_where_credentials_stand_is_masked(text: str) -> None:
    assert "LEAK" not in masked(text), masked(text)


@pytest.mark.parametrize(
    "text",
    [
        "sqlite:////a/b@c/m.db",
        "'s3://bucket/key@1'",
        "abfs://rows@account.dfs.core.windows.net/x",
        "http://127.0.0.1:5000/#/experiments/1/runs?workflowType=machine_learning",
        "s3://bucket/2026-??/rows.csv",
        "write it as key=value, like gate.min_rls_rbo=0.8",
        "docs at https://example.com/a/b.html#section",
        "me@example.com",
        "perturb.scenarios.0.kind = 'x': must be a name",
    ],
)
def test_what_is_no_secret_is_left_as_it_is(text: str) -> None:
    assert masked(text) == text


def test_a_short_value_is_no_word_that_vanishes_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "gate")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:gate@host")
    assert masked("the gate of http://me:gate@host") == f"the gate of http://{MASK}@host"


def test_a_word_is_not_masked_within_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "postgres")
    assert masked("postgresql says postgres") == f"postgresql says {MASK}"


def test_the_name_of_a_file_with_a_key_is_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "signing.pem").touch()
    monkeypatch.setenv("FINEST_SIGNING_KEY", str(tmp_path / "signing.pem"))
    assert masked(f"reads {tmp_path / 'signing.pem'}") == f"reads {tmp_path / 'signing.pem'}"


def test_long_texts_take_no_time() -> None:
    for text in ("a://b:" * 2000, "http://a?" + ")" * 20000 + "x", "token" * 10000, "a" * 100000 + "://" * 1000):
        masked(text)  # the runner's own limit is what this would break


def broken() -> FinestError:
    """Returns an error whose cause, which a traceback prints, has everything in it."""
    try:
        try:
            raise ValueError(SECRETS)
        except ValueError as cause:
            raise FinestError(f"cannot use {SECRETS}") from cause
    except FinestError as error:
        return error


def test_events_lines_and_both_logs_are_masked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(events.VARIABLE, str(tmp_path / "events.jsonl"))
    events.emit("failure", "gate", None, text=f"gate: {SECRETS}")
    error = broken()
    record = logging.LogRecord("finest", logging.ERROR, "", 0, "%s", (SECRETS,), (type(error), error, None))
    written = [
        (tmp_path / "events.jsonl").read_text(),
        one_line(error),
        logs.Text("gate", None).format(record),
        logs.Json("gate", None).format(record),
        json.dumps(masked_all({"a": [SECRETS], "b": {"c": SECRETS}})),
    ]
    for text in written:
        assert MASK in text and "LEAK" not in text
    json.loads(written[3])


def test_the_webhook_hears_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[bytes] = []

    def urlopen(request: object, timeout: float) -> io.BytesIO:
        sent.append(request.data)  # type: ignore[attr-defined]
        return io.BytesIO()

    monkeypatch.setattr(urllib.request, "urlopen", urlopen)
    notify.post("http://127.0.0.1:9", {"text": SECRETS, "error": SECRETS}, 1.0)
    assert b"LEAK" not in sent[0] and MASK.encode() in sent[0]
