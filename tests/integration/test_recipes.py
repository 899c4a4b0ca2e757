"""The recipes of CONTRIBUTING.md, done: each in a copy of the checkout, block by block as it is written there.

A block after a line like `` `finest/models/mean.py` `` is that file, a `diff` block is applied, a `bash` block must
succeed.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "CONTRIBUTING.md").read_text()
BLOCK = re.compile(r"(?:^`(?P<file>[\w/.]+)`:?\n\n)?^```(?P<kind>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
RECIPES = dict(re.findall(r"^### (Add a .+?)\n(.*?)(?=^##|\Z)", PAGE, re.MULTILINE | re.DOTALL))


class Done(NamedTuple):
    """What a command of a recipe has come to."""

    command: str
    code: int
    said: str


def shell(command: str, tree: Path, given: str | None = None) -> Done:
    """Runs a command in the copy, as in a shell with the virtual environment of these tests."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = os.environ | {"PATH": path, "PYTHONPATH": str(tree)}
    ran = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command],
        cwd=tree,
        env=environment,
        input=given,
        text=True,
        capture_output=True,
    )
    return Done(command, ran.returncode, ran.stdout + ran.stderr)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the checkout, with what is changed in it but not committed."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        text=True,
        capture_output=True,
        check=True,
    )
    for name in listed.stdout.splitlines():
        if (ROOT / name).is_file():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, tmp_path / name)
    return tmp_path


def test_there_are_five_recipes() -> None:
    assert list(RECIPES) == [
        f"Add a {what}" for what in ("model", "regulariser", "perturbation", "rule", "pipeline step")
    ]


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_does_what_it_says(recipe: str, tree: Path) -> None:
    blocks = list(BLOCK.finditer(RECIPES[recipe]))
    assert {block["kind"] for block in blocks} >= {"python", "bash"}
    for block in blocks:
        if block["kind"] == "diff":
            done = shell("patch --strip 1 --fuzz 0 --no-backup-if-mismatch", tree, block["text"])
        elif block["kind"] == "bash":
            done = shell(block["text"], tree)
        else:
            assert block["file"], f"{recipe}: a block of {block['kind']} does not say which file it is"
            (tree / block["file"]).parent.mkdir(parents=True, exist_ok=True)
            (tree / block["file"]).write_text(block["text"])
            continue
        assert done.code == 0, f"{recipe}: {done.command}\n{done.said}"


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_is_in_the_style_that_lint_asks_for(recipe: str, tree: Path) -> None:
    files = [block["file"] for block in BLOCK.finditer(RECIPES[recipe]) if block["kind"] == "python"]
    for block in BLOCK.finditer(RECIPES[recipe]):
        if block["kind"] == "python":
            (tree / block["file"]).parent.mkdir(parents=True, exist_ok=True)
            (tree / block["file"]).write_text(block["text"])
    for command in ("ruff format --check", "ruff check"):
        done = shell(f"{command} {' '.join(files)}", tree)
        assert done.code == 0, f"{recipe}\n{done.said}"
