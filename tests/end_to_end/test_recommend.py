"""`finest recommend` and the step of that name, with the champion of a whole run."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow.parquet as pq
import pytest

from components.recommend.component import recommend
from components.sections import parameters
from pipeline.config import load
from tests.builders import write_walks
from tests.end_to_end.conftest import KEPT, Place, Ran
from tracking.registry import champion


def lists(out: Path) -> dict[str, list[str]]:
    """What the pointer leads to, by user."""
    pointer = json.loads((out / "current.json").read_text())
    files = sorted((out / pointer["folder"]).glob("part-*.parquet"))
    return {row["user_id"]: row["items"] for file in files for row in pq.read_table(file).to_pylist()}


def test_the_champions_lists_are_made_once_and_all_that_is_known_is_in_them(
    promoted: Ran, place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ("recommend", "--source", str(place.source), "--out", str(tmp_path / "out"))

    def call(*arguments: str) -> list[str]:
        done = place.call(*command, *arguments, state=KEPT)
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    monkeypatch.setenv("FINEST_STATE", str(place.folder / KEPT))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    now = champion("finest")
    assert now is not None
    said = call("--processes", "2", "--k", "7")
    assert any(line.startswith(f"Lists    finest version {now.version}, the best 7 for 60 users") for line in said)
    assert any("lists a second; at most" in line and "CPU s" in line for line in said)
    found = lists(tmp_path / "out")
    assert len(found) == 60 and {len(items) for items in found.values()} == {7}
    history: dict[str, list[str]] = {}
    for row in place.source.read_text().splitlines()[1:]:
        user, item, _ = row.split(",")
        history.setdefault(user, []).append(item)
    import mlflow
    import pandas as pd

    mlflow.set_tracking_uri(f"sqlite:///{place.folder}/{KEPT}/mlflow/mlflow.db")
    served = mlflow.pyfunc.load_model("models:/finest@champion")
    users = sorted(history)
    answers = served.predict(pd.DataFrame({"history": [history[user] for user in users], "k": 7}))
    assert {user: list(items) for user, items in zip(users, answers["items"], strict=True)} == found

    before = {file: file.stat().st_mtime_ns for file in (tmp_path / "out").rglob("*")}
    assert "Nothing  was to be done: all files are there as they were written" in call("--k", "7")
    assert {file: file.stat().st_mtime_ns for file in (tmp_path / "out").rglob("*")} == before

    # The step, on what the command has read: in a place of its own it makes the same files.
    data = next((place.folder / KEPT / "recommend" / "finest").glob("data-*"))
    config = parameters(load(place.config, [f"recommend={{out: {tmp_path / 'step'}, k: 7}}"]))
    monkeypatch.setenv("KFP_RUN_ID", promoted.folder.name)
    artifact: Any = SimpleNamespace(path=str(data))
    recommend.python_func(artifact, "finest", config["recommend"], config["promote"], "")
    assert lists(tmp_path / "step") == found
    for one in ("out", "step"):
        assert len(list((tmp_path / one).glob("*/part-00000.parquet"))) == 1
    parts = [next((tmp_path / one).glob("*/part-00000.parquet")) for one in ("out", "step")]
    assert parts[0].parent.name == parts[1].parent.name and parts[0].read_bytes() == parts[1].read_bytes()


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--name", "other", "--out", "lists"], 1, "the line other has no champion yet"),
        ([], 2, "no place for the lists is given; name a folder"),
        (["--out", "lists", "--data", "here", "--source", "there"], 2, "give one of the two"),
        (["--out", "lists", "--data", "/nowhere"], 1, "not a data set that ingest wrote (manifest.json is missing)"),
        (["--out", "lists", "--k", "0"], 2, "recommend.k = 0: must be greater than or equal to 1"),
        (["--out", "hdfs://lists"], 2, "unknown kind of place for lists hdfs://"),
    ],
)
def test_a_command_that_cannot_be_done_is_one_line(
    promoted: Ran, place: Place, arguments: list[str], code: int, said: str
) -> None:
    done = place.call("recommend", *arguments, state=KEPT)
    assert (done.returncode, done.stderr.count("\n")) == (code, 1) and said in done.stderr
    assert not Path("lists").exists()


def test_another_shops_data_is_refused(promoted: Ran, place: Place, tmp_path: Path) -> None:
    other = write_walks(tmp_path / "other.csv", seed=5)
    done = place.call("recommend", "--source", str(other), "--out", str(tmp_path / "out"), state=KEPT)
    assert done.returncode == 1 and "this is not the data of the line finest: its champion" in done.stderr
    assert not (tmp_path / "out").exists()
