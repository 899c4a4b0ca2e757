"""Processes of a training are killed inside its container, by hand and for want of memory: the step goes on."""

import re
import signal
import subprocess
from pathlib import Path

import psutil
import pytest

from tests.docker.conftest import Whole
from tests.docker.containers import SECONDS, first_process, of, start, told, wait_for
from tests.end_to_end.conftest import Place
from tests.end_to_end.test_resume import champion_weights, same_lists, stable_part
from tests.services.images import docker

pytestmark = [pytest.mark.docker, pytest.mark.slow]

TOO_LITTLE, ENOUGH = "600Mi", "3g"
"""Too little for a training and its two processes (1 GB), and enough for every step before it (0.46 GB)."""
RESTARTED = "started again from the checkpoints, restart"

Kill = tuple[str, float, str]
"""A step, the least share of its work that is done, and the process: the one that trains, or some of its workers."""


def processes(place: Place, state: str, chosen: str) -> list[psutil.Process]:
    """Those of the state's container that are called so; empty while there are none."""
    if not (containers := of(place, state)):
        return []
    pid = first_process(containers[0])
    try:
        found = [
            one
            for one in psutil.Process(pid).children(recursive=True)
            if "multiprocessing.spawn" in " ".join(one.cmdline())
        ]
        main = next((one for one in found if one.parent() not in found), None)
        workers = [one for one in found if main and one.ppid() == main.pid]
        return [main] if main and chosen == "main" else workers[int(chosen) :][:1] if chosen != "main" else []
    except psutil.NoSuchProcess:
        return []


def kill(run: subprocess.Popen[str], place: Place, state: str, step: str, done: float, chosen: str) -> None:
    def ready() -> bool:
        events = told(place, state, step)
        return (
            bool(events)
            and events[-1].kind == "progress"
            and events[-1].done >= done
            and bool(processes(place, state, chosen))
        )

    wait_for(ready, run)
    processes(place, state, chosen)[0].send_signal(signal.SIGKILL)


def log(place: Place, state: str) -> str:
    return (place.last(state) / "kfp.log").read_text()


def assert_the_same(place: Place, state: str, undisturbed: Path) -> None:
    assert same_lists(place.last(state), undisturbed) and stable_part(place.last(state)) == stable_part(undisturbed)
    assert champion_weights(place.folder / state) == champion_weights(undisturbed.parents[1])


@pytest.mark.parametrize(
    "kills",
    [
        [("pretrain", 0.0, "main"), ("pretrain", 0.4, "0"), ("finetune", 0.0, "main"), ("finetune", 0.5, "0")],
        [("pretrain", 0.1, "1"), ("pretrain", 0.6, "main"), ("finetune", 0.2, "1"), ("finetune", 0.7, "main")],
        [("pretrain", 0.25, "0"), ("pretrain", 0.85, "1"), ("finetune", 0.3, "main"), ("finetune", 0.85, "main")],
    ],
    ids=["early", "between", "late"],
)
def test_trainings_that_are_killed_at_many_moments_end_with_the_same_weights(
    kills: list[Kill], whole: Whole, here: Place
) -> None:
    state = f"kills-{kills[0][1]}"
    run = start(here, state)
    for step, done, chosen in kills:
        kill(run, here, state, step, done, chosen)
    _, said = run.communicate(timeout=SECONDS)
    assert run.returncode == 0, said
    assert log(here, state).count(RESTARTED) == len(kills) and "ERROR" not in log(here, state)
    assert_the_same(here, state, whole[1])


def test_a_training_that_is_short_of_memory_once_goes_on_in_its_container(whole: Whole, here: Place) -> None:
    run = start(here, "short", "--memory", TOO_LITTLE)
    wait_for(lambda: told(here, "short") and RESTARTED in log(here, "short"), run)
    (container,) = of(here, "short")
    assert docker("update", "--memory", ENOUGH, "--memory-swap", ENOUGH, container).returncode == 0
    wait_for(lambda: told(here, "short", "finetune"), run)
    wait_for(lambda: of(here, "short") not in ([], [container]), run)
    assert docker("update", "--memory", ENOUGH, "--memory-swap", ENOUGH, *of(here, "short")).returncode == 0
    _, said = run.communicate(timeout=SECONDS)
    assert run.returncode == 0, said
    assert "pretrain, group 0: warning: out of memory: the training's process was killed by SIGKILL" in log(
        here, "short"
    )
    assert_the_same(here, "short", whole[1])


def test_out_of_memory_twice_at_the_same_place_is_one_line_with_the_peak_and_what_to_raise(
    here: Place, steps_image: str
) -> None:
    run = start(here, "shorter", "--memory", TOO_LITTLE)
    _, said = run.communicate(timeout=SECONDS)
    assert run.returncode == 1 and said.count("\n") == 1
    assert said.startswith(
        "error: pretrain: out of memory twice at the same place (before the first epoch was over): more is needed than "
    )
    assert re.search(
        r"600Mi, the limit of its container, and the peak was (599|600)Mi; raise placement\.memory \(of .*: --memory\)",
        said,
    )
    assert log(here, "shorter").count(RESTARTED) == 1
