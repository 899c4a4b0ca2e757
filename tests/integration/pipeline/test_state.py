import socket
import subprocess
import sys
from pathlib import Path

import pytest

from finest.errors import FinestError
from pipeline import cli
from pipeline.state import State, temporary

HOLD = """
import sys, time
from pathlib import Path
from pipeline import cli
from pipeline.state import State

with State(Path(sys.argv[1])).locked():
    print("held", flush=True)
    time.sleep(60)
"""


def hold(folder: Path) -> subprocess.Popen[str]:
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(folder)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None and holder.stdout.readline() == "held\n"
    return holder


def test_a_second_run_is_told_who_holds_the_state_and_may_go_on_once_that_was_killed(tmp_path: Path) -> None:
    holder = hold(tmp_path)
    with pytest.raises(FinestError, match=f"process {holder.pid}"), State(tmp_path).locked():
        pass
    holder.kill()
    holder.wait()
    with State(tmp_path).locked():
        pass


def test_runs_have_folders_of_their_own(tmp_path: Path) -> None:
    folders = {State(tmp_path).new_run() for _ in range(3)}
    assert len(folders) == 3 and all(folder.is_dir() for folder in folders)


def test_what_a_killed_run_left_is_removed_and_what_the_next_one_goes_on_from_stays(tmp_path: Path) -> None:
    state = State(tmp_path)
    dead, line = state.new_run(), state.checkpoints / "shop"
    for name in ("kfp/a/model.bin", "tmp/tmp.Xy/ephemeral_component.py", "tmp/tmpabc/lists.npy", "kfp.log"):
        (dead / name).parent.mkdir(parents=True, exist_ok=True)
        (dead / name).write_text("x" * 10)
    for name in ("pretrain/one", "runs/" + dead.name + "/pretrain/one", "runs/" + dead.name + "/pretrain/gone"):
        (line / name).parent.mkdir(parents=True, exist_ok=True)
        (line / name).write_text("")
    half = line / "pretrain" / "two.partial-0123456789abcdef"
    half.mkdir()
    (half / "two").write_text("half")
    assert state.clear() == 34
    assert sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()) == [
        "checkpoints/shop/pretrain/one",
        f"checkpoints/shop/runs/{dead.name}/pretrain/one",
        f"runs/{dead.name}/kfp.log",
    ]
    (line / "pretrain" / "one").unlink()  # the next run has ended well
    assert state.clear() == 0 and not (line / "runs").exists()


def test_what_is_not_a_runs_is_left_alone(tmp_path: Path) -> None:
    mine = tmp_path / "runs" / "mine" / "kfp" / "notes.txt"
    note = tmp_path / "checkpoints" / "runs" / "pretrain" / "one"  # of a line that is called runs
    for path in (mine, note):
        path.parent.mkdir(parents=True)
        path.write_text("keep")
    State(tmp_path).clear()
    assert mine.exists() and note.exists()


@pytest.mark.parametrize("where", ["file", "file/below", "x" * 300])
def test_a_state_that_cannot_be_one_is_one_line(tmp_path: Path, where: str) -> None:
    (tmp_path / "file").write_text("not a folder")
    said = r"cannot be used \(.*\); give one .* with --state"
    with pytest.raises(FinestError, match=said) as raised, State(tmp_path / where).locked():
        pass
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("command", [["status"], ["models", "list"], ["runs", "list"], ["state", "check"]])
def test_a_command_that_reads_makes_nothing_where_no_state_is(
    tmp_path: Path, command: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("FINEST_STATE", str(tmp_path))
    monkeypatch.setattr(sys, "argv", ["finest", *command, "--state", str(tmp_path / "typo")])
    assert cli.main() == 1
    said = capsys.readouterr().err
    assert said.startswith("error: ") and "there is no such database, so no run yet" in said and "error.log" not in said
    assert list(tmp_path.iterdir()) == []


def test_a_state_that_is_a_file_gets_no_advice_to_read_a_log_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("FINEST_STATE", str(tmp_path))
    file = tmp_path / "file"
    file.write_text("")
    monkeypatch.setattr(sys, "argv", ["finest", "run", "--source", str(file), "--state", str(file)])
    assert cli.main() == 1
    said = capsys.readouterr().err
    assert "this state folder cannot be used (it is a file)" in said and "error.log" not in said


@pytest.mark.parametrize("name", ["per%cent ?#", "long-" * 40])
def test_temporary_files_have_a_name_that_uris_and_sockets_can_hold(tmp_path: Path, name: str) -> None:
    folder = State(tmp_path / name).new_run()
    with temporary(folder) as scratch:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(f"{scratch}/{'s' * 40}")
        assert not set(scratch) & set("%?#") and len(list((folder / "tmp").iterdir())) == 1
