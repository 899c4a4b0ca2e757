"""kill -9 of a run: its steps end, the state is free, and the same command goes on to the very same result."""

import contextlib
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from mlflow.entities import Run

from tests.end_to_end.conftest import ROOT, Place, Ran, verdict
from tracking.store import connect, experiment_id

ENDING_SECONDS = 60
"""Time within which steps whose run has ended have ended too, however busy the machine is."""


def wait_for(ready: Callable[[], object], process: subprocess.Popen[str]) -> None:
    """Waits until `ready` says so; the process must not end before. How long that takes, no busy machine knows."""
    while not ready():
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)


def test_a_killed_run_is_taken_up_again_and_ends_like_one_that_was_not(
    place: Place, promoted: Ran, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = "killed"
    first = started(place, state)
    checkpoints = place.folder / state / "checkpoints" / "finest"
    wait_for(lambda: list(checkpoints.glob("*.safetensors")), first)

    second = place.run(state=state)
    assert second.returncode == 1 and f"process {first.pid}" in second.stderr and second.stderr.count("\n") == 1

    steps = psutil.Process(first.pid).children(recursive=True)
    first.kill()
    first.communicate()
    assert psutil.wait_procs(steps, timeout=ENDING_SECONDS)[1] == []
    trained = list(checkpoints.glob("*.safetensors"))
    assert trained

    again = place.run(state=state)
    assert again.returncode == 0, again.stderr
    assert "Profile  " not in again.stdout and "Profile  " in promoted.process.stdout
    assert same_lists(place.last(state), promoted.folder)
    assert champion_weights(place.folder / state) == champion_weights(promoted.folder.parents[1])
    assert stable_part(place.last(state)) == stable_part(promoted.folder)
    assert not any(path.exists() for path in trained)

    found = runs_in(place, state, monkeypatch)
    assert [run for run in found if run.info.status == "RUNNING"] == []
    # Closed by its own notify, where that outlived the killed step for a moment, or else by the next preflight.
    assert len([run for run in found if run.info.status in ("FAILED", "KILLED") and "kfp_run_id" in run.data.tags]) == 1


@pytest.mark.slow
def test_reference_lists_of_a_killed_fine_tuning_lie_in_its_run_alone_and_the_next_run_removes_them(
    place: Place, tmp_path: Path
) -> None:
    state, outside = place.folder / "killed-in-finetune", tmp_path / "temporary"
    outside.mkdir()
    run = started(place, state.name, "--set", "finetune.epochs=100", TMPDIR=str(outside))
    wait_for(lambda: list(state.rglob("lists.npy")), run)
    for process in [*psutil.Process(run.pid).children(recursive=True), psutil.Process(run.pid)]:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    run.communicate()
    (left,) = state.rglob("lists.npy")
    assert left.is_relative_to(place.last(state.name) / "tmp")
    assert [path.name for path in outside.rglob("*") if path.suffix == ".npy"] == []

    refused = place.run("--set", "ingest.columns.user=nobody", state=state.name, TMPDIR=str(outside))
    assert refused.returncode == 1 and "no column 'nobody'" in refused.stderr, refused.stderr
    assert not list(state.rglob("lists.npy"))
    assert not [path for run in state.glob("runs/*") for path in run.iterdir() if path.name in ("kfp", "tmp")]


def champion_weights(state: Path) -> bytes:
    """The weights in the package of the state's first version."""
    packages = (state / "mlflow" / "artifacts").rglob("weights.safetensors")
    return min(packages, key=lambda file: file.stat().st_mtime).read_bytes()


def same_lists(one: Path, other: Path) -> bool:
    """Whether the runs' rank lists, scores included, are the same bit for bit."""
    files = sorted(path.relative_to(one) for path in (one / "lists").rglob("*.parquet"))
    assert len(files) == 28
    return all((one / file).read_bytes() == (other / file).read_bytes() for file in files)


def stable_part(run: Path) -> dict[str, object]:
    """The verdict without what may differ: cost, age and ids, and what the night's entry has of them."""
    found = {name: part for name, part in verdict(run).items() if name not in ("cost", "age", "ids")}
    found["night"] = {name: part for name, part in found["night"].items() if name not in ("run", "as_of")}
    return found


def test_an_interrupted_run_ends_its_steps_and_closes_its_mlflow_run(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = "interrupted"
    run = started(place, state)
    wait_for(lambda: list((place.folder / state).glob("runs/*/kfp/*/ingest")), run)
    steps = psutil.Process(run.pid).children(recursive=True)
    run.send_signal(signal.SIGINT)
    _, said = run.communicate(timeout=ENDING_SECONDS)
    assert run.returncode == 4 and said.startswith("error: interrupted") and said.count("\n") == 1
    assert psutil.wait_procs(steps, timeout=ENDING_SECONDS)[1] == []
    assert {found.info.status for found in runs_in(place, state, monkeypatch)} == {"KILLED"}
    assert not list((place.folder / state).glob("runs/*/kfp"))


@pytest.mark.parametrize("depth", [1, 2], ids=["pipeline", "warm"])
def test_a_run_whose_own_process_is_killed_ends_with_a_line_and_leaves_nothing(
    place: Place, monkeypatch: pytest.MonkeyPatch, depth: int
) -> None:
    state = f"killed-{depth}"
    run = started(place, state)
    wait_for(lambda: list((place.folder / state).glob("runs/*/kfp/*/ingest")), run)
    family = psutil.Process(run.pid).children(recursive=True)
    victim = psutil.Process(run.pid)
    for _ in range(depth):
        victim = victim.children()[0]
    victim.kill()
    _, said = run.communicate(timeout=ENDING_SECONDS)
    assert run.returncode == 1 and said.startswith("error: ") and said.count("\n") == 1
    assert psutil.wait_procs(family, timeout=ENDING_SECONDS)[1] == []
    assert "RUNNING" not in {found.info.status for found in runs_in(place, state, monkeypatch)}


def started(place: Place, state: str, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    """A run that goes on by itself, as a terminal starts it."""
    return subprocess.Popen(
        place.command("run", "--source", str(place.source), *arguments),
        cwd=ROOT,
        env=place.environment(state, **environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Tests that run in a shell's background inherit that SIGINT is ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def runs_in(place: Place, state: str, monkeypatch: pytest.MonkeyPatch) -> list[Run]:
    """All MLflow runs of a state."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("FINEST_STATE", str(place.folder / state))
    client = connect()
    return list(client.search_runs([experiment_id(client, "finest")]))
