"""kill -9 of a run: its steps end, the state is free, and the same command goes on to the very same result."""

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from tests.end_to_end.conftest import ROOT, Place, Ran, verdict
from tracking.store import connect, experiment_id

SECONDS = 60


def wait_for(ready: Callable[[], object], process: subprocess.Popen[str]) -> None:
    """Waits until `ready` says so; the process must not end before."""
    deadline = time.monotonic() + SECONDS
    while not ready():
        assert process.poll() is None and time.monotonic() < deadline, process.communicate()
        time.sleep(0.02)


def test_a_killed_run_is_taken_up_again_and_ends_like_one_that_was_not(place: Place, promoted: Ran, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    state, arguments = "killed", ["run", "--source", str(place.source)]
    first = subprocess.Popen(
        place.command(*arguments), cwd=ROOT, env=place.environment(state), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    checkpoints = place.folder / state / "checkpoints"
    wait_for(lambda: list(checkpoints.glob("*.safetensors")), first)

    second = place.run(state=state)
    assert second.returncode == 1 and f"process {first.pid}" in second.stderr and second.stderr.count("\n") == 1

    steps = psutil.Process(first.pid).children(recursive=True)
    first.kill()
    first.communicate()
    assert psutil.wait_procs(steps, timeout=10)[1] == []
    trained = list(checkpoints.glob("*.safetensors"))
    assert trained

    again = place.run(state=state)
    assert again.returncode == 0, again.stderr
    assert same_lists(place.last(state), promoted.folder)
    assert stable_part(place.last(state)) == stable_part(promoted.folder)
    assert not any(path.exists() for path in trained)

    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("FINEST_STATE", str(place.folder / state))
    client = connect()
    assert client.search_runs([experiment_id(client)], "attributes.status = 'RUNNING'") == []
    assert len(client.search_runs([experiment_id(client)], "tags.kfp_run_id != '' and attributes.status = 'KILLED'")) == 1


def same_lists(one: Path, other: Path) -> bool:
    """Whether the runs' rank lists, scores included, are the same bit for bit."""
    files = sorted(path.relative_to(one) for path in (one / "lists").rglob("*.parquet"))
    assert len(files) == 16
    return all((one / file).read_bytes() == (other / file).read_bytes() for file in files)


def stable_part(run: Path) -> dict[str, object]:
    """The verdict without what may differ: cost, age and ids."""
    return {name: part for name, part in verdict(run).items() if name not in ("cost", "age", "ids")}
