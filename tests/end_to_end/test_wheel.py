"""The wheel alone, outside any checkout: one command ends in a verdict, and another judges lists.

In an environment with the tests' own packages, tests/extension runs the wheel.
"""

import json
import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from tests import packages
from tests.builders import write_walks
from tests.end_to_end.conftest import CONFIG

ROOT = packages.ROOT


@pytest.fixture(
    scope="module",
    params=["borrowed", pytest.param("empty", marks=[pytest.mark.slow])],
)
def python(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns the Python of an environment with the wheel: with the tests' environment's packages, or with its own."""
    wheel = packages.build_wheel(tmp_path_factory.mktemp("wheel"))
    folder = tmp_path_factory.mktemp("environment")
    if request.param == "borrowed":
        return packages.environment(folder, wheel)
    venv.create(folder, with_pip=True)
    here = folder / "bin" / "python"
    pip = [str(here), "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "install", "-c", ROOT / "constraints.txt", f"{wheel}[pipeline]"], check=True)
    subprocess.run([*pip, "check"], check=True)
    return here


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """Returns the folder of someone who has packages of the wheel's names."""
    packages.put_others(tmp_path)
    return tmp_path


def finest(python: Path, work: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs the command in the folder, with an environment that knows nothing of the tests."""
    plain = {"PATH": os.environ["PATH"], "HOME": str(work)}
    command = [str(python.with_name("finest")), *arguments]
    return subprocess.run(command, cwd=work, env=plain, capture_output=True, text=True)


@pytest.mark.parametrize("python", [pytest.param("empty", marks=[pytest.mark.slow])], indirect=True)
def test_a_run_ends_in_a_verdict(python: Path, work: Path) -> None:
    write_walks(work / "data.csv")
    (work / "mine.yaml").write_text(CONFIG)
    ran = finest(python, work, "run", "--source", "data.csv", "--config", "mine.yaml")
    assert ran.returncode == 0, ran.stderr
    (folder,) = (work / "state" / "runs").iterdir()
    assert json.loads((folder / "verdict.json").read_text())["verdict"] == "pass"
    assert (folder / "report.html").stat().st_size > 10_000


def test_lists_of_another_trainer_are_judged(python: Path, work: Path) -> None:
    (work / "lists").mkdir()
    subprocess.run(
        [sys.executable, ROOT / "docs" / "examples" / "write_rank_lists.py", "lists", "0.6"], cwd=work, check=True
    )
    judged = finest(python, work, "gate", "--lists", "lists", "--json")
    assert (judged.returncode, json.loads(judged.stdout)["verdict"]) == (3, "fail"), judged.stderr
