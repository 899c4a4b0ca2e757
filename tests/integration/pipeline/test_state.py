import subprocess
import sys
from pathlib import Path

import pytest

from finest.errors import FinestError
from pipeline.state import State

HOLD = """
import sys, time
from pathlib import Path
from pipeline.state import State

with State(Path(sys.argv[1])).locked():
    print("held", flush=True)
    time.sleep(60)
"""


def hold(folder: Path) -> subprocess.Popen[str]:
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(folder)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None and holder.stdout.readline() == "held\n"
    return holder


def test_a_second_run_is_told_who_holds_the_state_and_may_go_on_once_that_was_killed(tmp_path: Path) -> None:
    holder = hold(tmp_path)
    with pytest.raises(FinestError, match=f"process {holder.pid}"), State(tmp_path).locked():
        pass
    holder.kill()
    holder.wait()
    with State(tmp_path).locked():
        pass


def test_runs_have_folders_of_their_own(tmp_path: Path) -> None:
    folders = {State(tmp_path).new_run() for _ in range(3)}
    assert len(folders) == 3 and all(folder.is_dir() for folder in folders)
