"""A training that is killed like a preempted container goes on from S3 and ends with the same weights."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from storage import checkpoint_store
from tests.integration.storage.train import EPOCHS
from tests.services.s3 import S3

ROOT = Path(__file__).parents[3]
SECONDS = 120


def command(checkpoints: str, out: Path) -> list[str]:
    return [sys.executable, "-m", "tests.integration.storage.train", checkpoints, str(out)]


def test_killed_in_an_epoch_it_ends_with_the_same_weights(s3_server: S3, bucket: str, tmp_path: Path) -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run(command(str(tmp_path / "checkpoints"), tmp_path / "whole"), cwd=ROOT, env=environment, check=True)

    uri, folder = f"s3://{bucket}/night", s3_server.root / bucket / "night"
    killed = subprocess.Popen(command(uri, tmp_path / "killed"), cwd=ROOT, env=environment, start_new_session=True)
    deadline = time.monotonic() + SECONDS
    while not list(folder.glob("clean-*/000000000002-*")):
        assert killed.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()
    (name,) = checkpoint_store(uri).list("clean-")
    epochs = max(int(path.name.partition("-")[0]) for path in (folder / name).iterdir())
    assert 2 <= epochs < EPOCHS and not (tmp_path / "killed").exists()

    subprocess.run(command(uri, tmp_path / "resumed"), cwd=ROOT, env=environment, check=True)
    weights = sorted(path.relative_to(tmp_path / "whole") for path in (tmp_path / "whole").rglob("*.safetensors"))
    assert len(weights) == 5
    assert all(
        (tmp_path / "whole" / path).read_bytes() == (tmp_path / "resumed" / path).read_bytes() for path in weights
    )
    writers = {path.name.partition("-")[2] for path in (folder / name).iterdir()}
    assert len(writers) == 2 and max(path.name for path in (folder / name).iterdir()).startswith(f"{EPOCHS:012d}-")
