"""The pipeline in containers of our image, from a file to a champion, and through kill -9."""

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests import small_data
from tests.end_to_end.conftest import CONFIG, ROOT, Place, verdict
from tests.end_to_end.test_resume import same_lists, stable_part
from tests.services.images import docker
from tracking import registry
from tracking.store import connect, experiment_id

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(1200)]

SECONDS = 240
EPOCHS = 200
"""So many that a step can be killed in the middle of them."""


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Place:
    place = Place(tmp_path_factory.mktemp("containers"))
    small_data.write(place.source)
    place.config.write_text(CONFIG.replace("epochs: 2}\nfinetune", f"epochs: {EPOCHS}}}\nfinetune"))
    return place


def arguments(place: Place) -> list[str]:
    return ["run", "--runner", "docker", "--source", str(place.source)]


def start(place: Place, state: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        place.command(*arguments(place)), cwd=ROOT, env=place.environment(state), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def finish(place: Place, state: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        place.command(*arguments(place)), cwd=ROOT, env=place.environment(state), capture_output=True, text=True, timeout=SECONDS * 2
    )


def of(place: Place, state: str) -> list[str]:
    """Ids of the state's containers."""
    return docker("ps", "--all", "--quiet", "--no-trunc", "--filter", f"label=finest.state={place.folder / state}").stdout.split()


def wait_for(ready: Callable[[], object], run: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + SECONDS
    while not ready():
        assert run.poll() is None and time.monotonic() < deadline, run.communicate()
        time.sleep(0.05)


def training(place: Place, state: str) -> Callable[[], bool]:
    """Whether a training has finished some epochs and has more to do."""
    return lambda: any(1 < epoch < EPOCHS / 2 for _, epoch in epochs(place, state))


def epochs(place: Place, state: str) -> list[tuple[str, int]]:
    """Variants and epochs that pretraining has told of in the newest run."""
    runs = place.folder / state / "runs"
    if not runs.exists() or not (file := place.last(state) / "events.jsonl").exists():
        return []
    said = [json.loads(line) for line in file.read_text().splitlines()]
    found = [re.match(r"(\S+) (\d+)/", event.get("text", "")) for event in said if event["step"] == "pretrain"]
    return [(match[1], int(match[2])) for match in found if match]


@pytest.fixture(scope="module")
def whole(here: Place, steps_image: str) -> tuple[subprocess.CompletedProcess[str], Path]:
    """A run that nobody disturbs."""
    process = finish(here, "whole")
    return process, here.last("whole")


@pytest.fixture
def store(here: Place, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], list[Any]]:
    """All MLflow runs of a state."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)

    def runs(state: str) -> list[Any]:
        monkeypatch.setenv("FINEST_STATE", str(here.folder / state))
        return list(connect().search_runs([experiment_id(connect())]))

    return runs


def test_a_run_in_containers_comes_to_a_champion(whole: Any, here: Place, store: Any) -> None:
    process, folder = whole
    assert process.returncode == 0, process.stderr
    parent = next(run for run in store("whole") if "kfp_run_id" in run.data.tags)
    assert verdict(folder)["verdict"] == "pass" and parent.info.status == "FINISHED"
    assert re.fullmatch("sha256:[0-9a-f]{64}", parent.data.tags["image_digest"]) and len(parent.data.tags["mlflow.source.git.commit"]) == 40
    champion = registry.champion("finest")
    assert champion is not None and champion.kfp_run_id == folder.name


def test_it_is_followed_like_a_run_in_processes_and_leaves_the_same_files(whole: Any, here: Place) -> None:
    process, folder = whole
    assert "Train, shard 0: started" in process.stdout and "Judge stability: done in" in process.stdout and process.stderr == ""
    kept = {path.name for path in folder.iterdir()}
    assert kept == {"config.yaml", "events.jsonl", "kfp.log", "lists", "edits", "data", "verdict.json", "report.html"}
    assert of(here, "whole") == []


def test_its_steps_run_as_somebody_other_than_root(whole: Any) -> None:
    written = whole[1] / "verdict.json"
    assert written.stat().st_uid == (os.getuid() or 10001)


def test_a_killed_container_is_one_line_and_the_same_command_ends_with_the_same_weights(whole: Any, here: Place, store: Any) -> None:
    run = start(here, "killed")
    wait_for(training(here, "killed"), run)
    (container,) = of(here, "killed")
    assert docker("kill", "--signal", "KILL", container).returncode == 0
    _, said = run.communicate(timeout=SECONDS)
    assert run.returncode == 1 and said.startswith("error: pretrain: ended without a word") and said.count("\n") == 1

    again = finish(here, "killed")
    assert again.returncode == 0, again.stderr
    first = dict(reversed(epochs(here, "killed")))
    assert max(first.values()) > 1  # it went on, and did not begin again
    assert same_lists(here.last("killed"), whole[1]) and stable_part(here.last("killed")) == stable_part(whole[1])
    assert sorted(run.info.status for run in store("killed") if "kfp_run_id" in run.data.tags) == ["FAILED", "FINISHED"]


def test_a_killed_run_takes_its_containers_with_it(here: Place, steps_image: str) -> None:
    run = start(here, "orphaned")
    wait_for(training(here, "orphaned"), run)
    run.kill()
    run.communicate()
    deadline = time.monotonic() + 30
    while of(here, "orphaned") and time.monotonic() < deadline:
        time.sleep(0.2)
    assert of(here, "orphaned") == []


def test_what_a_run_and_its_runner_leave_behind_is_ended_by_the_next_run(whole: Any, here: Place) -> None:
    run = start(here, "abandoned")
    wait_for(training(here, "abandoned"), run)
    for process in [psutil.Process(run.pid), *psutil.Process(run.pid).children(recursive=True)]:
        process.send_signal(signal.SIGKILL)
    run.communicate()
    (left,) = of(here, "abandoned")

    again = finish(here, "abandoned")
    assert again.returncode == 0, again.stderr
    assert docker("inspect", left).returncode != 0
    assert same_lists(here.last("abandoned"), whole[1])


def test_an_interrupted_run_ends_its_containers(here: Place, steps_image: str, store: Any) -> None:
    run = start(here, "interrupted")
    wait_for(training(here, "interrupted"), run)
    run.send_signal(signal.SIGINT)
    _, said = run.communicate(timeout=SECONDS)
    assert run.returncode == 4 and said.startswith("error: interrupted") and said.count("\n") == 1
    assert of(here, "interrupted") == []
    assert {found.info.status for found in store("interrupted") if "kfp_run_id" in found.data.tags} == {"KILLED"}


def test_an_image_that_is_not_there_is_one_line(here: Place, engine: None) -> None:
    process = here.run("--runner", "docker", "--image", "finest:nowhere", state="unused")
    assert process.returncode == 2 and process.stderr.count("\n") == 1
    assert "finest:nowhere" in process.stderr and "make images" in process.stderr
