"""`finest tune`: killed and given again, its trials in MLflow, and a config that a run takes."""

import csv
import subprocess
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from pipeline.config import load
from tests.end_to_end.conftest import ROOT, Place
from tests.end_to_end.test_resume import ENDING_SECONDS, runs_in, wait_for

SPACE = "{pretrain: {lr: {low: 0.001, high: 0.01, log: true}, epochs: {low: 2, high: 5}}}"


def rows(folder: Path) -> list[dict[str, str]]:
    """The trials, without what no two attempts have alike."""
    with (folder / "trials.csv").open() as file:
        return [{name: value for name, value in row.items() if name != "seconds"} for row in csv.DictReader(file)]


@pytest.mark.slow
def test_a_killed_search_ends_like_one_that_was_not_and_its_config_is_one(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ["tune", "--source", str(place.source), "--trials", "3", "--set", f"tune.space={SPACE}"]
    whole, again = place.folder / "whole", place.folder / "again"
    process = place.call(*command, "--output", str(whole), state="searched")
    assert process.returncode == 0, process.stderr
    assert "Changed  " in process.stdout and f"Config   {whole / 'config.yaml'}" in process.stdout

    state = "search-killed"
    first = subprocess.Popen(
        place.command(*command, "--output", str(again)),
        cwd=ROOT,
        env=place.environment(state),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    trials = place.folder / state / "checkpoints" / "finest" / "tune"
    wait_for(lambda: list(trials.glob("*/1/*.safetensors")), first)
    steps = psutil.Process(first.pid).children(recursive=True)
    first.kill()
    first.communicate()
    assert psutil.wait_procs(steps, timeout=ENDING_SECONDS)[1] == []
    resumed_at = time.time() * 1000
    process = place.call(*command, "--output", str(again), state=state)
    assert process.returncode == 0, process.stderr
    assert rows(again) == rows(whole) and [row["trial"] for row in rows(again)] == ["0", "1", "2"]
    assert (again / "config.yaml").read_text() == (whole / "config.yaml").read_text()
    assert not list(trials.rglob("*.safetensors"))

    chosen = next(row for row in rows(whole) if row["chosen"] == "1")
    config = load(whole / "config.yaml")
    assert config.pretrain.lr == float(chosen["pretrain.lr"]) and config.pretrain.epochs == int(
        chosen["pretrain.epochs"]
    )
    before = load(place.config, [f"source={place.source}"])
    kept = {"pretrain", "tune"}
    assert config.model_dump(exclude=kept) == before.model_dump(exclude=kept)
    assert place.call("config", "show", "--set", "seed=1").returncode == 0

    found = runs_in(place, state, monkeypatch)
    last = [run for run in found if run.info.start_time > resumed_at]
    logged: dict[str, Any] = {run.data.tags["trial"]: run for run in last if "trial" in run.data.tags}
    for row in rows(again):
        run = logged[row["trial"]]
        assert run.data.params["pretrain.lr"] == row["pretrain.lr"]
        assert run.data.metrics["accuracy/mrr"] == pytest.approx(float(row["mrr"]))
        assert run.data.metrics["rls/rbo"] == pytest.approx(float(row["rbo"]))
    (parent,) = [run for run in last if "kfp_run_id" in run.data.tags]
    assert parent.info.status == "FINISHED" and " tuned " in parent.info.run_name
    assert parent.data.metrics["tune/chosen_mrr"] == pytest.approx(float(chosen["mrr"]))
    assert parent.data.tags["chosen_trial"] == chosen["trial"]
    assert [run for run in found if run.info.status == "RUNNING"] == []

    shown = yaml.safe_load((whole / "config.yaml").read_text())
    assert shown["tune"]["trials"] == 3 and shown["source"] == str(place.source)
