import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from finest.errors import FinestError
from pipeline import cli
from pipeline.cluster.status import check_age
from tests.integration.cluster.conftest import Call, record
from tests.services.fake_kfp import FakeKfp, Moment
from tracking.history import last_judged, past_runs
from tracking.store import connect


@pytest.fixture
def nights(mlflow: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An experiment with a pass, a refusal and a night that broke."""
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", tmp_path.name)
    for run, verdict in (("night-1", "pass"), ("night-2", "fail")):
        parent = record(run, verdict)
        connect().log_metric(parent, "rls/rbo", 0.9)
    record("night-3", None, failed=("ingest", "no such bucket"))


def status(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["pipeline", "status", *arguments])
    return cli.main()


def test_the_last_runs_are_listed_newest_first(
    nights: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert [past.kfp_run for past in past_runs(10)] == ["night-3", "night-2", "night-1"]
    assert status(monkeypatch) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if "night-" in line]
    assert [word in line for word, line in zip(("failed", "fail", "pass"), lines, strict=True)] == [True] * 3
    assert "0.900" in lines[2]
    status(monkeypatch, "--last", "1")
    assert "night-2" not in capsys.readouterr().out


@pytest.mark.parametrize("columns", ["60", "80"])
def test_a_narrow_terminal_loses_no_id_and_no_number(
    nights: None, columns: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    long = "189b4424-0e4c-4eea-8118-016307abd7f4"
    connect().log_metric(record(long, "pass"), "churn/rbo", 0.7041)
    monkeypatch.setenv("COLUMNS", columns)
    assert status(monkeypatch) == 0
    shown = capsys.readouterr().out
    assert long in shown and "churn 0.704" in shown and "RLS 0.900" in shown and "night-3" in shown


def test_a_mistyped_state_is_an_error_and_is_not_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    typo = tmp_path / "stat"
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    for command in (
        ["status"],
        ["models", "list"],
        ["models", "history"],
        ["models", "verify"],
        ["models", "repair"],
        ["models", "prune", "--yes"],
        ["models", "rollback", "--yes"],
        ["models", "promote", "1"],
        ["models", "approve", "1", "--reason", "x"],
        ["models", "reject", "1", "--reason", "x"],
        ["runs", "list"],
        ["runs", "prune", "--keep", "1"],
        ["state", "check"],
        ["state", "repair"],
        ["recommend", "--out", str(tmp_path / "lists")],
    ):
        monkeypatch.setattr(sys, "argv", ["finest", *command, "--state", str(typo)])
        assert cli.main() != 0, command
        said = capsys.readouterr()
        assert str(typo) in said.err and said.err.count("\n") == 1, command
        assert list(tmp_path.iterdir()) == [], command


def test_a_verdict_within_the_age_is_fine_and_a_night_that_broke_is_none(
    nights: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status(monkeypatch, "--max-age", "26h") == 0
    assert "finest: the newest verdict (fail, run night-2) is 0.0 h old" in capsys.readouterr().out


def test_a_verdict_that_is_older_is_an_error_that_names_it(nights: None) -> None:
    last = last_judged()
    assert last is not None and last.judged is not None
    assert check_age(timedelta(hours=26), now=last.judged + timedelta(hours=25, minutes=59))
    with pytest.raises(FinestError, match=r"\(fail, run night-2\) is 26\.1 h old, and may be 26\.0 h"):
        check_age(timedelta(hours=26), now=last.judged + timedelta(hours=26, minutes=6))


def test_no_verdict_at_all_is_1(
    mlflow: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", tmp_path.name)
    record("night-1", None, failed=("ingest", "no such bucket"))
    assert status(monkeypatch, "--max-age", "26h") == 1
    assert "no run has a verdict yet" in capsys.readouterr().err


def test_a_run_without_a_verdict_does_not_make_an_old_one_young(
    mlflow: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", tmp_path.name)
    client = connect()
    parent = record("night-1", "pass")
    client.set_terminated(
        parent, "FINISHED", end_time=int((datetime.now(UTC) - timedelta(hours=30)).timestamp() * 1000)
    )
    record("night-2", None)
    with pytest.raises(FinestError, match="night-1"):
        check_age(timedelta(hours=26))


def test_a_length_of_time_that_cannot_be_meant_is_2(
    mlflow: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status(monkeypatch, "--max-age", "a day") == 2
    assert "26h" in capsys.readouterr().err


def test_a_server_that_does_not_answer_is_one_line(
    mlflow: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    assert status(monkeypatch, "--max-age", "26h") == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "no connection" in said


@pytest.mark.parametrize(
    "arguments",
    [["--follow"], ["--host", "http://127.0.0.1:9"], ["run-1", "--last", "3"], ["run-1", "--max-age", "26h"]],
)
def test_an_option_that_would_do_nothing_is_2(
    nights: None, arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status(monkeypatch, *arguments) == 2
    said = capsys.readouterr()
    assert said.out == "" and said.err.count("\n") == 1 and "RUN" in said.err


def test_a_run_is_not_asked_for_where_its_verdict_could_not_be_read(
    mlflow: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert status(monkeypatch, "run-1") == 2
    assert "MLFLOW_TRACKING_URI is not set" in capsys.readouterr().err


def test_a_run_that_has_ended_is_shown_with_its_verdict_and_exit_code(kfp: FakeKfp, call: Call) -> None:
    kfp.on_run = lambda run: record(run, "fail")
    kfp.life = [Moment("FAILED", {"preflight": "SUCCEEDED", "ingest": "FAILED"}, error="out of time")]
    call("submit", "--detach")
    [run] = kfp.runs
    said = call("status", run)
    assert said.code == 3, said.error
    shown = [line for line in said.out.splitlines() if "note:" not in line]
    assert shown[1:] == [
        "Check before spending: done",
        "Read, clean, split: failed; not tried again",
        "run failed: out of time",
        "Verdict  fail",
        "         collapse.popularity: The candidate beats the most popular items.",
        "Refused  there is no champion yet",
    ]


def test_a_line_whose_nights_have_stopped_is_not_hidden_by_another_ones(
    mlflow: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", tmp_path.name)
    old = int((datetime.now(UTC) - timedelta(hours=30)).timestamp() * 1000)
    connect().set_terminated(record("night-1", "pass", line="shop-de"), "FINISHED", end_time=old)
    record("night-2", "pass", line="shop-fr")
    assert status(monkeypatch, "--max-age", "26h") == 1
    said = capsys.readouterr()
    assert "shop-de: the newest verdict (pass, run night-1) is 30.0 h old" in said.err and "shop-fr" not in said.err
    assert status(monkeypatch, "--max-age", "26h", "--name", "shop-fr") == 0
    said = capsys.readouterr()
    assert "night-2" in said.out and "night-1" not in said.out
    assert status(monkeypatch, "--max-age", "26h", "--name", "shop-es") == 1
    assert "shop-es: no run has a verdict yet" in capsys.readouterr().err
