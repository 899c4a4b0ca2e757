import os
import subprocess
import sys
import time
from pathlib import Path

from components.orphan import VARIABLE

STEP = """
import time
from components.orphan import die_with_parent
die_with_parent()
print("up", flush=True)
time.sleep(60)
"""


def start(parent: int) -> subprocess.Popen[str]:
    step = subprocess.Popen(
        [sys.executable, "-c", STEP], env={**os.environ, VARIABLE: str(parent)}, stdout=subprocess.PIPE, text=True
    )
    assert step.stdout is not None and step.stdout.readline() == "up\n"
    return step


def test_a_step_ends_when_the_process_that_started_the_run_is_killed() -> None:
    # Nobody waits for the killed process before the step has ended: it is a zombie meanwhile.
    run = subprocess.Popen(["sleep", "60"])
    step = start(run.pid)
    time.sleep(1.2)
    assert step.poll() is None
    run.kill()
    assert step.wait(timeout=60) == 1
    run.wait()


def test_a_step_ends_when_that_process_was_gone_before_it_came_up() -> None:
    run = subprocess.Popen(["true"])
    run.wait()
    step = subprocess.Popen(
        [sys.executable, "-c", STEP], env={**os.environ, VARIABLE: str(run.pid)}, stdout=subprocess.DEVNULL
    )
    assert step.wait(timeout=60) == 1


def test_what_must_be_ended_with_a_process_is_ended_before_it_even_where_that_fails(tmp_path: Path) -> None:
    before = f"def before():\n    open({str(tmp_path / 'called')!r}, 'w').close()\n    raise OSError\n"
    step = (
        f"{before}from components.orphan import die_with_parent; import time; die_with_parent(before); time.sleep(60)"
    )
    run = subprocess.Popen(["true"])
    run.wait()
    process = subprocess.Popen(
        [sys.executable, "-c", step], env={**os.environ, VARIABLE: str(run.pid)}, stderr=subprocess.DEVNULL
    )
    assert process.wait(timeout=60) == 1
    assert (tmp_path / "called").exists()
