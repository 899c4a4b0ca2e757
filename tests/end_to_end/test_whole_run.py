"""The pipeline from a file to a champion, as a user runs it: in a process of its own, with a state of its own.

Commands beside runs are called in this process.
"""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow.entities import Run

from pipeline import cli
from tests.end_to_end.conftest import Place, Ran, verdict
from tracking import registry
from tracking.store import connect, experiment_id


@pytest.fixture(autouse=True)
def same_store(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests look into the runs' own MLflow store."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("FINEST_STATE", str(place.folder / "state"))


Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def command(place: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Calls a command with the place's config."""

    def call(*arguments: str) -> subprocess.CompletedProcess[str]:
        monkeypatch.setattr(sys, "argv", ["finest", *arguments, "--config", str(place.config)])
        capsys.readouterr()
        code = cli.main()
        said = capsys.readouterr()
        return subprocess.CompletedProcess(sys.argv, code, said.out, said.err)

    return call


def champion() -> str:
    found = registry.champion("finest")
    assert found is not None
    return found.version


def parents() -> list[Run]:
    return list(
        connect().search_runs(
            [experiment_id(connect(), "finest")], "tags.kfp_run_id != ''", order_by=["attributes.start_time DESC"]
        )
    )


def running() -> list[Run]:
    return list(connect().search_runs([experiment_id(connect(), "finest")], "attributes.status = 'RUNNING'"))


def test_a_run_that_passes_promotes_its_model(promoted: Ran) -> None:
    assert promoted.process.returncode == 0, promoted.process.stderr
    found = registry.champion("finest")
    assert found is not None and (found.version, found.kfp_run_id) == ("1", promoted.folder.name)
    assert verdict(promoted.folder)["verdict"] == "pass"


def test_a_run_says_what_it_does_and_ends_in_a_table_and_places(promoted: Ran) -> None:
    out = promoted.process.stdout
    for title in (
        "Check before spending",
        "Read, clean, split",
        "Train, group 0",
        "Fine-tune (FINEST), group 0",
        "Judge stability",
    ):
        assert f"{title}: started" in out and f"{title}: done in" in out
    assert "given shared references" in out and "random-deletion-0.001-s0" in out and "sanity.identity" in out
    assert str(promoted.folder / "report.html") in out and "mlflow.db" in out and "CPU s" in out
    assert promoted.process.stderr == ""


def test_the_identity_control_scores_exactly_one(promoted: Ran) -> None:
    scenarios = {scenario["name"]: scenario for scenario in verdict(promoted.folder)["scenarios"]}
    assert scenarios["identity"]["tuned"]["rbo"]["mean"] == scenarios["identity"]["base"]["rbo"]["mean"] == 1.0
    assert scenarios["seed"]["tuned"]["rbo"]["mean"] < 1.0


def test_a_run_leaves_what_is_worth_keeping_and_nothing_else(promoted: Ran, place: Place) -> None:
    kept = {path.name for path in promoted.folder.iterdir()}
    always = {"config.yaml", "events.jsonl", "kfp.log", "lists", "edits", "data", "verdict.json", "report.html"}
    assert kept == always | {"profile.txt", "profile"}
    assert len(list((promoted.folder / "lists" / "group-0" / "tuned").glob("*.parquet"))) == 7
    assert list((place.folder / "state" / "checkpoints").rglob("*.safetensors")) == []


def test_mlflow_has_a_closed_parent_with_headlines_and_artifacts(promoted: Ran) -> None:
    parent = next(run for run in parents() if run.data.tags["kfp_run_id"] == promoted.folder.name)
    assert parent.info.status == "FINISHED" and parent.data.tags["verdict"] == "pass"
    assert {"rls/rbo", "noise_floor/rbo", "accuracy/mrr", "gate/passed"} <= set(parent.data.metrics)
    assert parent.data.params["pretrain.epochs"] == "2" and "plan/group 0" in parent.data.params
    names = {artifact.path for artifact in connect().list_artifacts(parent.info.run_id)}
    assert {"config.yaml", "verdict.json", "report.html", "edits"} <= names
    assert running() == []


@pytest.mark.parametrize(("setting", "code"), [("gate.rules=[sanity]", 0), ("gate.rules=[]", 3)])
def test_the_lists_that_a_run_keeps_are_judged_alike_by_the_gate_alone(
    setting: str, code: int, promoted: Ran, command: Command, tmp_path: Path
) -> None:
    lists, data, output = promoted.folder / "lists", promoted.folder / "data", tmp_path / "verdict.json"
    judged = command("gate", "--lists", str(lists), "--data", str(data), "--output", str(output), "--set", setting)
    assert judged.returncode == code, judged.stderr
    metrics, before = (found["metrics"] for found in (json.loads(output.read_text()), verdict(promoted.folder)))
    of_lists = {
        name: value
        for name, value in before.items()
        if not name.startswith(("cost/", "data/", "gate/", "memory/", "selftest/"))
    }
    assert of_lists.items() <= metrics.items()


@pytest.fixture(scope="module")
def refused(place: Place, promoted: Ran) -> Ran:
    """Another seed, in two groups, against a threshold that nothing reaches."""
    process = place.run(
        "--set",
        "seed=1",
        "--set",
        "perturb.groups=2",
        "--set",
        "pretrain.processes=1",
        "--set",
        "promote.register_rejected=true",
        "--set",
        "gate.rules=[sanity, stability]",
        "--set",
        "gate.min_rls_rbo=0.999",
    )
    return Ran(process, place.last())


def test_a_run_that_the_gate_refuses_names_the_rule_and_leaves_the_champion(refused: Ran) -> None:
    assert refused.process.returncode == 3, refused.process.stderr
    assert "gate.min_rls_rbo" in refused.process.stdout.partition("Verdict: ")[2]
    assert champion() == "1"


def test_a_later_run_scores_the_champion_on_the_same_instances_and_reports_churn(refused: Ran, promoted: Ran) -> None:
    first, second = verdict(promoted.folder), verdict(refused.folder)
    assert second["metrics"]["churn/rbo"] < 1.0
    mrr = {model["name"]: model["mrr"] for model in second["accuracy"]}
    assert mrr["champion"] == next(model["mrr"] for model in first["accuracy"] if model["name"] == "candidate")
    assert "Train, group 1: done in" in refused.process.stdout


def test_a_run_without_new_data_is_skipped_before_it_trains(promoted: Ran, place: Place) -> None:
    process = place.run("--as-of", "2026-11-24", "--set", "preflight.skip_without_new_data=true")
    assert process.returncode == 0, process.stderr
    assert "Verdict: skipped. Champion version 1 was made from this very data." in process.stdout
    assert "Train, group 0" not in process.stdout and champion() == "1" and running() == []
    assert (place.last() / "report.html").exists() and verdict(place.last())["age"][
        "as_of"
    ] == "2026-11-24T00:00:00+00:00"


def test_the_champion_is_moved_and_moved_back_by_hand(refused: Ran, command: Command) -> None:
    said = command("models", "promote", "2")
    assert said.returncode == 1 and said.stderr.count("\n") == 1 and champion() == "1"
    assert command("models", "promote", "2", "--force").returncode == 0 and champion() == "2"
    assert command("models", "rollback", "--yes").stdout == "finest version 1 is the champion\n" and champion() == "1"
    assert "champion" in command("models", "list").stdout


@pytest.mark.parametrize(
    ("arguments", "environment", "says"),
    [
        (["--source", "/nowhere/data.csv"], {}, "/nowhere/data.csv"),
        (
            ["--set", "steps.patience_minutes=0"],
            {"MLFLOW_TRACKING_URI": "http://127.0.0.1:9"},
            "MLflow at http://127.0.0.1:9",
        ),
    ],
)
def test_a_run_that_cannot_start_is_one_line_and_leaves_the_champion(
    arguments: list[str], environment: dict[str, str], says: str, promoted: Ran, place: Place
) -> None:
    before, process = champion(), place.run(*arguments, **environment)
    assert process.returncode == 1
    assert process.stderr.startswith("error: ") and process.stderr.count("\n") == 1 and says in process.stderr
    assert champion() == before and running() == []
    log = place.last() / "kfp.log"
    assert str(log) in process.stderr and "Traceback" in log.read_text()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            ["run", "--set", "gate.min_rls=1"],
            "gate.min_rls: there is no such config key; did you mean gate.min_rls_rbo?",
        ),
        (["run", "--set", "gate.min_rls_rbo=2"], "gate.min_rls_rbo = 2: must be less than or equal to 1"),
        (["run", "--sorce", "x"], "No such option"),
        (["gate", "--lists", "/nowhere"], "/nowhere"),
    ],
)
def test_a_command_that_cannot_be_meant_exits_with_two_and_one_line(
    arguments: list[str], says: str, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FINEST_STATE", str(tmp_path / "unused"))
    said = command(*arguments)
    assert (said.returncode, said.stdout) == (2, "")
    assert says in said.stderr and said.stderr.count("\n") == 1
    assert not (tmp_path / "unused" / "runs").exists()
