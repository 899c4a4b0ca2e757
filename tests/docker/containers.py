"""Runs of the pipeline in containers of our image: started, followed and looked into."""

import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from components.events import Event, read
from pipeline.containers import STATE_LABEL
from tests.end_to_end.conftest import ROOT, Place
from tests.services.images import docker

SECONDS = 240
EPOCHS, TUNING_EPOCHS = 200, 60
"""So many that a step can be killed in the middle of them."""


def command(place: Place, *arguments: str) -> list[str]:
    return place.command("run", "--runner", "docker", "--source", str(place.source), *arguments)


def start(place: Place, state: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command(place, *arguments),
        cwd=ROOT,
        env=place.environment(state),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(place: Place, state: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(place), cwd=ROOT, env=place.environment(state), capture_output=True, text=True, timeout=SECONDS * 2
    )


def of(place: Place, state: str) -> list[str]:
    """Ids of the state's containers."""
    return of_state(place.folder / state)


def of_state(state: Path) -> list[str]:
    """Ids of the containers of a state folder."""
    return docker("ps", "--all", "--quiet", "--no-trunc", "--filter", f"label={STATE_LABEL}={state}").stdout.split()


def first_process(container: str) -> int:
    """The number on this machine of a container's first process; 0 where it runs none."""
    return int(docker("inspect", "--format", "{{.State.Pid}}", container).stdout.strip() or 0)


def wait_for(ready: Callable[[], object], run: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + SECONDS
    while not ready():
        assert run.poll() is None and time.monotonic() < deadline, run.communicate()
        time.sleep(0.05)


def training(place: Place, state: str) -> Callable[[], bool]:
    """Whether a training has finished some epochs and has more to do."""
    return lambda: any(1 < epoch < EPOCHS / 2 for _, epoch in epochs(place, state))


def told(place: Place, state: str, step: str = "pretrain") -> list[Event]:
    """What a step of the newest run has told of."""
    runs = place.folder / state / "runs"
    if not runs.exists() or not list(runs.iterdir()):
        return []
    return [event for event in read(place.last(state) / "events.jsonl")[0] if event.step == step]


def epochs(place: Place, state: str) -> list[tuple[str, int]]:
    """Variants and epochs that pretraining has told of."""
    found = [re.match(r"(\S+) (\d+)/", event.text) for event in told(place, state)]
    return [(match[1], int(match[2])) for match in found if match]
