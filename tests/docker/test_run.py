"""The pipeline in containers of our image, from a file to a champion, and through kill -9."""

import os
import re
import signal
import time

import psutil
import pytest

from tests.docker.conftest import Runs, Whole
from tests.docker.containers import SECONDS, epochs, finish, of, start, training, wait_for
from tests.end_to_end.conftest import Place, verdict
from tests.end_to_end.test_resume import same_lists, stable_part
from tests.services.images import docker
from tracking import registry

pytestmark = [pytest.mark.docker, pytest.mark.slow]


def test_a_run_in_containers_comes_to_a_champion(whole: Whole, here: Place, store: Runs) -> None:
    process, folder = whole
    assert process.returncode == 0, process.stderr
    parent = next(run for run in store("whole") if "kfp_run_id" in run.data.tags)
    assert verdict(folder)["verdict"] == "pass" and parent.info.status == "FINISHED"
    assert (
        re.fullmatch("sha256:[0-9a-f]{64}", parent.data.tags["image_digest"])
        and len(parent.data.tags["mlflow.source.git.commit"]) == 40
    )
    champion = registry.champion("finest")
    assert champion is not None and champion.kfp_run_id == folder.name


def test_it_is_followed_like_a_run_in_processes_and_leaves_the_same_files(whole: Whole, here: Place) -> None:
    process, folder = whole
    assert (
        "Train, group 0: started" in process.stdout
        and "Judge stability: done in" in process.stdout
        and process.stderr == ""
    )
    kept = {path.name for path in folder.iterdir()}
    assert kept == {"config.yaml", "events.jsonl", "kfp.log", "lists", "edits", "data", "verdict.json", "report.html"}
    assert of(here, "whole") == []


def test_its_steps_run_as_somebody_other_than_root(whole: Whole) -> None:
    written = whole[1] / "verdict.json"
    assert written.stat().st_uid == (os.getuid() or 10001)


def test_a_killed_container_is_one_line_and_the_same_command_ends_with_the_same_weights(
    whole: Whole, here: Place, store: Runs
) -> None:
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


def test_what_a_run_and_its_runner_leave_behind_is_ended_by_the_next_run(whole: Whole, here: Place) -> None:
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


def test_an_interrupted_run_ends_its_containers(here: Place, steps_image: str, store: Runs) -> None:
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
