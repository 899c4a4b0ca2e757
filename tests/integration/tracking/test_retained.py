"""Runs of the past: what is kept of them, and what goes."""

import json
import shutil
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from pipeline import cli, retention
from pipeline.keep import Retention
from pipeline.state import State, size
from tests.integration.tracking.conftest import NAME
from tracking import ledger, registry, store

Night = Callable[[int], registry.Version]


@pytest.fixture
def night(state: Path, promoted: Callable[..., registry.Version]) -> Night:
    """A night that promotes, in a folder of its own; it deletes versions that no alias names, as a config can say."""

    def one(number: int) -> registry.Version:
        before = registry.serving(NAME)
        folder = state / "runs" / f"20260101-000000-{number:04x}"
        folder.mkdir(parents=True)
        (folder / "report.html").write_text("x" * 1000)
        made = promoted(folder.name, number % 5, before.version if before else None)
        store.connect().log_text(made.mlflow_run_id, "{}", "verdict.json")
        return made

    return one


def delete_unnamed_versions() -> None:
    for version in registry.list_versions(NAME):
        if not version.aliases:
            store.connect().delete_model_version(NAME, version.version)


def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    monkeypatch.setattr(sys, "argv", ["finest", *arguments])
    code = cli.main()
    said = capsys.readouterr()
    return code, said.out + said.err


def test_prune_lists_and_removes_old_runs_but_never_those_in_use(
    night: Night, state: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(4):
        night(number)
    (state / "runs" / "20250101-000000-dead").mkdir()  # ended before it said anything
    code, said = command(monkeypatch, capsys, "runs", "list", "--json")
    runs = json.loads(said)["runs"]
    assert code == 0 and len(runs) == 5
    assert [run["verdict"] for run in runs if not run["mlflow"]] == ["unknown"]
    assert [one["in_use"] for run in runs for one in run["versions"]] == [True, True, False, False]
    assert all(run["folder_bytes"] == 1000 and run["mlflow_bytes"] > 1000 for run in runs if run["mlflow"])

    before = size(state / "runs") + size(state / "mlflow")
    code, said = command(monkeypatch, capsys, "runs", "prune", "--keep", "0", "--dry-run")
    assert code == 0 and "3 runs would go" in said
    assert size(state / "runs") + size(state / "mlflow") == before
    assert command(monkeypatch, capsys, "runs", "prune", "--keep", "0")[0] == 2  # nobody is here to ask
    assert command(monkeypatch, capsys, "runs", "prune")[0] == 2
    code, said = command(monkeypatch, capsys, "runs", "prune", "--older-than", "0", "--yes")
    assert code == 0 and "3 runs removed" in said
    assert sorted(folder.name[-4:] for folder in (state / "runs").iterdir()) == ["0002", "0003"]

    # The packages of the other versions, and their verdicts, are there still: a rollback needs them.
    for version in registry.list_versions(NAME):
        registry.package(version, state / "taken" / version.version)
    assert command(monkeypatch, capsys, "state", "check")[0] == 0


def test_what_no_version_needs_goes_for_good(night: Night, state: Path) -> None:
    for number in range(3):
        night(number)
    delete_unnamed_versions()
    gone = retention.retain(State(state), Retention(keep_runs=1))
    assert [run.id[-4:] for run in gone] == ["0000"]
    with closing(sqlite3.connect(state / "mlflow" / "mlflow.db")) as database:
        left = database.execute("SELECT count(*) FROM tags WHERE value = '20260101-000000-0000'").fetchone()
        models = database.execute("SELECT count(*) FROM logged_models").fetchone()
    assert left == (0,) and models == (2,)
    assert retention.retain(State(state), Retention(keep_runs=1)) == []
    assert retention.retain(State(state), Retention()) == []


def test_checkpoints_that_removed_runs_alone_used_go_too(state: Path) -> None:
    here = State(state)
    one, other = here.new_run(), here.new_run()
    line = here.checkpoints / NAME
    for name in ("a", "b", f"runs/{one.name}/a", f"runs/{one.name}/b", f"runs/{other.name}/b"):
        (line / name).parent.mkdir(parents=True, exist_ok=True)
        (line / name).write_text("")
    retention.remove(here, [run for run in retention.runs(here) if run.id == one.name])
    assert sorted(path.relative_to(line).as_posix() for path in line.rglob("*") if path.is_file()) == [
        "b",
        f"runs/{other.name}/b",
    ]


@pytest.mark.parametrize("nights", [8, pytest.param(100, marks=pytest.mark.slow)])
def test_a_state_does_not_grow_with_its_nights(night: Night, state: Path, nights: int) -> None:
    sizes = []
    for number in range(nights):
        made = night(number)
        delete_unnamed_versions()
        retention.retain(State(state), Retention(keep_runs=2))
        sizes.append(size(state))
    champion = registry.champion(NAME)
    assert champion is not None and champion.version == made.version
    assert len(ledger.read(NAME).moves) == nights and not ledger.read(NAME).breaks()
    assert len(State(state).runs()) == 2
    # The ledger itself, an entry a night, is what remains to grow.
    assert sizes[-1] - sizes[3] < (nights - 4) * 20_000


@pytest.mark.parametrize("damage", ["database", "package", "verdict", "probe"])
def test_check_finds_what_is_damaged_or_missing_and_repair_removes_leftovers(
    night: Night, state: Path, damage: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = night(0)
    artifacts = state / "mlflow" / "artifacts"
    if damage == "database":
        file = state / "mlflow" / "mlflow.db"
        whole = file.read_bytes()
        file.write_bytes(whole[:40960] + b"\xff" * 8192 + whole[49152:])
    elif damage == "package":
        (model,) = (artifacts / "models").iterdir()
        shutil.rmtree(model)
    elif damage == "verdict":
        (artifacts / made.mlflow_run_id / "artifacts" / "verdict.json").unlink()
        store.connect().set_tag(made.mlflow_run_id, "verdict", "pass")
    else:
        (artifacts / "probe-1").mkdir()
    code, said = command(monkeypatch, capsys, "state", "check")
    wrong = {"database": "is damaged", "package": "the package of", "verdict": "verdict.json of the run"}
    assert (code, damage in wrong and wrong[damage] in said) == ((1, True) if damage in wrong else (0, False))
    code, said = command(monkeypatch, capsys, "state", "repair")
    assert code == (1 if damage == "database" else 0) and not (damage == "probe" and (artifacts / "probe-1").exists())
