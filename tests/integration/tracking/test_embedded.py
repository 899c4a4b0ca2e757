"""The embedded store: whole or not at all, of any age, at any place."""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from finest.errors import FinestError
from tests.integration.tracking.conftest import NAME
from tracking import answer, embedded, registry, runs, store

CHECK = "from tracking import answer; answer.check('finest')"
CUT_OFF = """
import os, signal, sys
from alembic.runtime import migration
from tracking import answer

steps, done = int(sys.argv[1]), 0
update = migration.HeadMaintainer.update_to_step

def counted(*arguments):
    global done
    done += 1
    if done == steps:
        os.kill(os.getpid(), signal.SIGKILL)
    return update(*arguments)

migration.HeadMaintainer.update_to_step = counted
answer.check('finest')
"""
"""A start that is killed at the n-th step of the tables' making, or of their upgrade."""


def process(state: Path, code: str, *arguments: str) -> "subprocess.Popen[str]":
    plain = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        env=plain | {"FINEST_STATE": str(state)},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def ended(started: "subprocess.Popen[str]") -> tuple[int, str]:
    out, err = started.communicate()
    return started.returncode, out + err


def database(state: Path) -> Path:
    return state / "mlflow" / "mlflow.db"


def all_of(file: Path, query: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(file)) as connection:
        return connection.execute(query).fetchall()


@pytest.mark.parametrize("step", [1, 30, 60])
def test_a_first_start_that_is_killed_leaves_no_database_and_the_next_one_works(tmp_path: Path, step: int) -> None:
    code, _ = ended(process(tmp_path, CUT_OFF, str(step)))
    assert code == -signal.SIGKILL and not database(tmp_path).exists()
    assert ended(process(tmp_path, CHECK)) == (0, "")
    assert sorted(path.name for path in (tmp_path / "mlflow").iterdir() if path.is_file()) == [
        "mlflow.db",
        "mlflow.db.json",
        "mlflow.db.lock",
    ]
    assert [path.name for path in (tmp_path / "mlflow").iterdir() if path.is_dir()] == ["artifacts"]


@pytest.mark.slow
def test_a_first_start_killed_at_any_of_30_moments_leaves_a_state_that_the_next_command_can_use(tmp_path: Path) -> None:
    began = time.monotonic()
    assert ended(process(tmp_path / "whole", CHECK)) == (0, "")
    whole = time.monotonic() - began
    for number in range(30):
        state = tmp_path / f"state-{number}"
        started = process(state, CHECK)
        time.sleep(whole * (number + 0.5) / 30)
        started.kill()
        ended(started)
        assert ended(process(state, CHECK)) == (0, ""), number


def test_two_first_starts_at_once_both_work(tmp_path: Path) -> None:
    both = [process(tmp_path, CHECK) for _ in range(2)]
    assert [ended(one) for one in both] == [(0, "")] * 2


def test_a_start_on_a_slow_machine_is_not_given_up(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    probe = answer._probe_artifacts

    def slow(*arguments: object) -> None:
        time.sleep(0.5)
        probe(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(answer, "CHECK_SECONDS", 0.1)
    monkeypatch.setattr(answer, "_probe_artifacts", slow)
    answer.check("finest")


def older(state: Path, steps: int = 1) -> str:
    """Takes the state's database back to what an older MLflow had made; returns its revision."""
    from alembic import command
    from mlflow.store.db.utils import _get_alembic_config

    file = database(state)
    config = _get_alembic_config("sqlite:///" + str(file))
    engine = embedded._engine(file)
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, f"-{steps}")
    engine.dispose()
    return str(all_of(file, "SELECT version_num FROM alembic_version")[0][0])


HALF = {
    "451aebb31d03": "table experiment_tags already exists",
    "3da73c924c2f": "table jobs already exists",
    "400f98739977": "duplicate column name: step",
    "6f8d9c3b2a1e": "index index_trace_info_timestamp_ms_request_id already exists",
}
"""By the last step whose end MLflow has recorded, what the next ones meet where some of them have been made."""


def cut_off(file: Path, revision: str) -> None:
    """Leaves the database as a step of an upgrade does that was killed."""
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE _alembic_tmp_experiments (experiment_id INTEGER)")
        connection.execute("DROP TABLE latest_metrics")
        connection.execute("UPDATE alembic_version SET version_num = ?", [revision])
        connection.commit()


@pytest.mark.parametrize("revision", HALF)
def test_a_half_made_one_of_an_older_release_that_holds_nothing_is_made_anew(state: Path, revision: str) -> None:
    database(state).with_name("mlflow.db.json").unlink(missing_ok=True)
    cut_off(database(state), revision)
    answer.check("finest")
    assert not all_of(database(state), "SELECT name FROM sqlite_master WHERE name LIKE '_alembic_tmp%'")


@pytest.mark.parametrize("revision", HALF)
def test_a_half_made_one_that_holds_a_run_is_named_and_left_as_it_is(state: Path, revision: str) -> None:
    runs.open_parent({}, line="finest", source="data.csv", seed=0, tags={})
    database(state).with_name("mlflow.db.json").unlink()
    cut_off(database(state), revision)
    before = all_of(database(state), "SELECT * FROM runs")
    for _ in range(2):
        with pytest.raises(FinestError, match=r"holds 1 runs and models; nothing was changed; put a") as raised:
            answer.check("finest")
        assert "left half made" in str(raised.value) and HALF[revision] in str(raised.value)
    assert all_of(database(state), "SELECT * FROM runs") == before
    assert not list(database(state).parent.glob("*.partial-*"))


def test_what_a_kill_left_beside_a_complete_one_is_taken_away(state: Path) -> None:
    runs.open_parent({}, line="finest", source="data.csv", seed=0, tags={})
    database(state).with_name("mlflow.db.json").unlink()
    with closing(sqlite3.connect(database(state))) as connection:
        connection.execute("CREATE TABLE _alembic_tmp_experiments (experiment_id INTEGER)")
    answer.check("finest")
    assert not all_of(database(state), "SELECT name FROM sqlite_master WHERE name LIKE '_alembic_tmp%'")
    assert runs.find_parent()


@pytest.mark.parametrize("log", [False, True])
def test_an_older_one_is_upgraded_on_a_copy_and_kept(state: Path, caplog: pytest.LogCaptureFixture, log: bool) -> None:
    parent = runs.open_parent({}, line="finest", source="data.csv", seed=0, tags={})
    database(state).with_name("mlflow.db.json").unlink()
    head = embedded._revision(database(state))
    revision = older(state)
    assert revision != head
    if log:  # what another program has written and not taken up
        code = (
            "import os, sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('PRAGMA journal_mode = WAL'); "
            "c.execute('UPDATE runs SET name = \\'in the log\\''); c.commit(); os._exit(0)"
        )
        subprocess.run([sys.executable, "-c", code, str(database(state))], check=True)
        assert database(state).with_name("mlflow.db-wal").stat().st_size
    answer.check("finest")
    assert embedded._revision(database(state)) == head
    (kept,) = embedded.replaced(database(state))
    assert kept.name == f"mlflow.db.before-{revision}" and embedded._revision(kept) == revision
    found = store.connect().get_run(parent)
    assert not log or found.info.run_name == "in the log"
    assert caplog.text.count(f"was brought from revision {revision} to {head}") == 1


@pytest.mark.parametrize("step", [1, 3, 6])
def test_an_upgrade_that_is_killed_leaves_the_older_one_and_the_next_command_ends_it(state: Path, step: int) -> None:
    parent = runs.open_parent({}, line="finest", source="data.csv", seed=0, tags={})
    database(state).with_name("mlflow.db.json").unlink()
    head, revision = embedded._revision(database(state)), older(state, steps=6)
    before = database(state).read_bytes()
    code, _ = ended(process(state, CUT_OFF, str(step)))
    assert code == -signal.SIGKILL and database(state).read_bytes() == before
    code, said = ended(process(state, CHECK))
    assert code == 0 and f"was brought from revision {revision} to {head}" in said, said
    assert store.connect().get_run(parent).data.tags["line"] == "finest"
    assert embedded.replaced(database(state))[0].read_bytes() == before
    assert not list(database(state).parent.glob("*.partial-*"))


def test_one_of_a_newer_mlflow_is_named(state: Path) -> None:
    database(state).with_name("mlflow.db.json").unlink(missing_ok=True)
    with closing(sqlite3.connect(database(state))) as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'ffffffffffff'")
        connection.commit()
    with pytest.raises(FinestError, match=r"made by a newer MLflow \(revision ffffffffffff\).*install that one"):
        answer.check("finest")


@pytest.mark.parametrize("damage", ["header", "empty", "cut"])
def test_a_damaged_one_is_named(state: Path, damage: str) -> None:
    runs.open_parent({}, line="finest", source="data.csv", seed=0, tags={})
    whole = database(state).read_bytes()
    damaged = {
        "header": b"\0" * 100 + whole[100:],
        "empty": b"",
        "cut": whole[:50_000],
    }[damage]
    database(state).write_bytes(damaged)
    if damage == "empty":  # in a process that has not seen the other one
        assert ended(process(state, CHECK)) == (0, "")
        return
    with pytest.raises(FinestError, match=r"mlflow.db.*(put a backup|cannot be used)"):
        answer.check("finest")


def test_one_that_another_program_has_locked_is_named(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answer.check("finest")
    database(state).with_name("mlflow.db.json").unlink()
    monkeypatch.setattr(embedded, "WAIT_SECONDS", 0.1)
    with closing(sqlite3.connect(database(state), isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(FinestError, match="another program has locked it; end that program, or wait for it"):
            answer.check("finest")


@pytest.mark.slow
def test_one_that_is_ready_and_that_another_program_has_locked_is_named_after_a_minute(state: Path) -> None:
    answer.check("finest")
    with closing(sqlite3.connect(database(state), isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(FinestError, match="is locked by another program; end the program that has locked"):
            answer.check("finest")


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("recorded", [True, False])
@pytest.mark.parametrize("how", ["move", "copy"])
def test_a_state_that_was_moved_or_copied_works_and_writes_nothing_to_where_it_lay(
    state: Path,
    promoted: Callable[..., registry.Version],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    how: str,
    recorded: bool,
    tmp_path: Path,
) -> None:
    promoted("night-1", 0, None)
    if not recorded:
        database(state).with_name("mlflow.db.json").unlink()
    there = tmp_path / "else where 100%41 ?" / "st#2"
    there.parent.mkdir()
    if how == "move":
        state.rename(there)
    else:
        shutil.copytree(state, there)
    before = snapshot(state)
    monkeypatch.setenv("FINEST_STATE", str(there))
    answer.check(NAME)
    assert caplog.text.count("the state has moved from") == 1
    promoted("night-2", 1, "1")
    for number in ("1", "2"):
        folder = registry.package(registry.get(NAME, number), tmp_path / f"loaded-{number}")
        assert (folder / "MLmodel").is_file()
    assert registry.champion(NAME).version == "2"  # type: ignore[union-attr]
    assert snapshot(state) == before and (state.exists() == (how == "copy"))
    for table, column in embedded.PLACES:
        for (place,) in all_of(database(there), f"SELECT {column} FROM {table}"):
            assert not str(place or "").startswith((str(state), state.as_uri())), (table, column)
    record = json.loads(database(there).with_name("mlflow.db.json").read_text())
    assert record["folder"] == str(there / "mlflow")


def test_one_folder_by_two_names_is_not_one_that_moved(
    state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    answer.check("finest")
    link = tmp_path / "link"
    link.symlink_to(state)
    monkeypatch.setenv("FINEST_STATE", str(link))
    answer.check("finest")
    assert "has moved" not in caplog.text


def test_an_experiment_that_is_not_there_is_what_has_to_be_corrected(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", "999")
    with pytest.raises(FinestError, match="has no experiment of the id 999; correct MLFLOW_EXPERIMENT_ID"):
        answer.check("finest")
    monkeypatch.delenv("MLFLOW_EXPERIMENT_ID")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "x" * 600)
    with pytest.raises(FinestError, match="; correct MLFLOW_EXPERIMENT_NAME"):
        answer.check("finest")


def test_a_path_that_is_too_long_is_what_has_to_be_corrected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("FINEST_STATE", str(tmp_path / ("x" * 300)))
    with pytest.raises(FinestError, match=r"File name too long.*shorter path"):
        answer.check("finest")
