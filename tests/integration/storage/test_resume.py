"""A training that is killed like a preempted container goes on from an object store and ends with the same weights."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from storage import checkpoint_store
from tests.integration.storage.train import EPOCHS

ROOT = Path(__file__).parents[3]


def command(checkpoints: str, out: Path) -> list[str]:
    return [sys.executable, "-m", "tests.integration.storage.train", checkpoints, str(out)]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Makes the weights of a training that nobody disturbs."""
    folder = tmp_path_factory.mktemp("undisturbed")
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run(command(str(folder / "checkpoints"), folder / "whole"), cwd=ROOT, env=environment, check=True)
    return folder / "whole"


def test_killed_in_an_epoch_it_ends_with_the_same_weights_on_s3(bucket: str, whole: Path, tmp_path: Path) -> None:
    killed_and_resumed(f"s3://{bucket}/night", whole, tmp_path)


def test_killed_in_an_epoch_it_ends_with_the_same_weights(container: str, whole: Path, tmp_path: Path) -> None:
    killed_and_resumed(f"{container}/night", whole, tmp_path)


def killed_and_resumed(uri: str, whole: Path, folder: Path) -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    store = checkpoint_store(uri)
    killed = subprocess.Popen(command(uri, folder / "killed"), cwd=ROOT, env=environment, start_new_session=True)
    while not (found := versions(store)) or max(found) < 2:
        assert killed.poll() is None
        time.sleep(0.05)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()
    assert 2 <= max(versions(store)) < EPOCHS and not (folder / "killed").exists()

    subprocess.run(command(uri, folder / "resumed"), cwd=ROOT, env=environment, check=True)
    weights = sorted(path.relative_to(whole) for path in whole.rglob("*.safetensors"))
    assert len(weights) == 5
    assert all((whole / path).read_bytes() == (folder / "resumed" / path).read_bytes() for path in weights)
    found = versions(store)
    assert max(found) == EPOCHS and len({writer for writers in found.values() for writer in writers}) == 2


def versions(store: Any) -> dict[int, set[str]]:
    """Returns the writers of the clean training's whole checkpoints by their numbers, which are those of epochs."""
    found: dict[int, set[str]] = {}
    for version in store._versions("clean-"):
        if version.whole:
            found.setdefault(version.number, set()).add(version.writer)
    return found
