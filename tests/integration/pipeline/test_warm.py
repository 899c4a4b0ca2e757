"""Steps of kfp.local that are forked from a warm process end, fail and are killed as those that kfp starts itself."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.end_to_end.conftest import ROOT, plain_environment

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="steps are forked on Linux alone")

PROGRAM = '''
"""Runs a pipeline of one step, as `{step}` says it."""
import multiprocessing
import sys
from pathlib import Path
from kfp import dsl, local
from pipeline import warm

@dsl.component(base_image="python:3.11", install_kfp_package=False)
def ends(text: str) -> str:
    import atexit, os, sys
    from pathlib import Path
    atexit.register(print, "the step's last word")
    print("modules", "torch" in sys.modules, "mlflow" in sys.modules, os.environ["_KFP_RUNTIME"])
    print("name", Path("/proc/self/comm").read_text().strip())
    print("text", text)
    return text.upper()

@dsl.component(base_image="python:3.11", install_kfp_package=False)
def fails(text: str) -> str:
    raise ValueError(text)

@dsl.component(base_image="python:3.11", install_kfp_package=False)
def is_killed(text: str) -> str:
    import os, signal
    os.kill(os.getpid(), signal.SIGKILL)

@dsl.component(base_image="python:3.11", install_kfp_package=False)
def is_left(text: str) -> str:
    import os, signal
    os.kill(os.getppid(), signal.SIGKILL)

@dsl.pipeline
def whole(text: str) -> str:
    return globals().get(sys.argv[1], ends)(text=text).output

@dsl.pipeline
def loops():
    with dsl.ParallelFor(["a", "bb", "ccc", "dddd"]) as text:
        ends(text=ends(text=text).output)

with warm.steps():
    local.init(local.SubprocessRunner(use_venv=False), pipeline_root=sys.argv[2])
    if sys.argv[1] == "loops":
        loops()
    else:
        task = whole(text="a word; of 'several' $signs")
        print("came", task.output)
print("left", multiprocessing.active_children())
'''


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """The program, in a file: its steps are compiled from their source."""
    file = tmp_path / "program.py"
    file.write_text(PROGRAM)
    return file


def ran(program: Path, step: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(program), step, str(program.parent / "outputs")],
        env={**plain_environment(), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_a_step_has_the_libraries_a_name_and_its_last_word(program: Path) -> None:
    found = ran(program, "ends")
    assert found.returncode == 0, found.stderr
    lines = found.stdout.splitlines()
    assert "modules True True true" in lines and "name ends" in lines and "the step's last word" in lines
    assert "came A WORD; OF 'SEVERAL' $SIGNS" in lines and lines[-1] == "left []"


def test_each_turn_of_a_loop_gets_its_own_steps_outputs(program: Path) -> None:
    found = ran(program, "loops")
    assert found.returncode == 0, found.stderr
    said = [line.split()[1] for line in found.stdout.splitlines() if line.startswith("text ")]
    assert sorted(said) == sorted(text for one in ("a", "bb", "ccc", "dddd") for text in (one, one.upper()))


@pytest.mark.parametrize(("step", "said"), [("fails", "ValueError: a word"), ("is_killed", "")])
def test_a_step_that_does_not_end_well_fails_its_pipeline(program: Path, step: str, said: str) -> None:
    found = ran(program, step)
    assert found.returncode == 1 and "came" not in found.stdout
    assert "Inner task failed" in found.stderr.splitlines()[-1] and said in found.stderr


def test_a_warm_process_that_is_killed_fails_the_pipeline(program: Path) -> None:
    found = ran(program, "is_left")
    assert found.returncode == 1 and "EOFError" in found.stderr and "came" not in found.stdout
