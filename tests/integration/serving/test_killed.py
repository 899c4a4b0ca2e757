"""A batch that is killed at any moment, with all of its processes, goes on and ends with the same files."""

import random
import subprocess
import sys
import time
from pathlib import Path

import psutil

from benchmarks.recommend import data, digests, ended, model
from finest.serving.batch import CURRENT, MANIFEST

ROOT = Path(__file__).parents[3]
USERS = 1500
SCRIPT = """
import sys
from benchmarks import recommend
from finest.serving import lists
lists.USERS = 64
recommend.make(recommend.Path(sys.argv[1]), sys.argv[2], 2)
"""


def batch(folder: Path, out: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(folder), out], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )


def test_a_batch_that_is_killed_again_and_again_ends_with_the_same_files(tmp_path: Path) -> None:
    data(tmp_path / "data", USERS, items=2000)
    model(tmp_path / "model", tmp_path / "data", items=2000)
    whole = ended(batch(tmp_path, "whole"))
    assert whole["made"] == whole["files"] == 24
    chance, seen = random.Random(0), set[int]()
    while len(seen) < 4:
        running = batch(tmp_path, "killed")
        children = psutil.Process(running.pid).children
        workers: list[psutil.Process] = []
        there, wanted = len(digests(tmp_path / "killed")), chance.randint(1, 4)
        while running.poll() is None and len(digests(tmp_path / "killed")) < there + wanted:
            workers = children(recursive=True) or workers
            time.sleep(chance.uniform(0, 0.02))
        running.kill()
        running.wait()
        seen.add(len(digests(tmp_path / "killed")))
        if len(seen) < 4:
            assert not (tmp_path / "killed" / CURRENT).exists() and not list(tmp_path.glob(f"killed/*/{MANIFEST}"))
        psutil.wait_procs(workers, timeout=30)
        assert not [worker for worker in workers if worker.is_running()]
    for file in list((tmp_path / "killed").glob("*/part-*"))[:2]:
        file.write_bytes(file.read_bytes()[:-7])
    last = ended(batch(tmp_path, "killed"))
    assert 2 <= last["made"] < 24
    assert digests(tmp_path / "killed") == digests(tmp_path / "whole") and len(digests(tmp_path / "whole")) == 24
    assert (tmp_path / "killed" / CURRENT).exists()
    assert ended(batch(tmp_path, "killed"))["made"] == 0
    assert not list(tmp_path.glob("killed/*/*partial*"))
