"""What the Dockerfiles promise, as far as it shows without an engine."""

import re
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

from components.image import GPU_IMAGE, IMAGE

ROOT = Path(__file__).parents[3]
DOCKERFILES = [ROOT / "docker" / "Dockerfile", ROOT / "docker" / "mlflow" / "Dockerfile"]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

dockerfile = pytest.mark.parametrize("file", DOCKERFILES, ids=["steps", "mlflow"])


def instructions(file: Path) -> list[tuple[str, str]]:
    """Name and arguments of each, with lines joined and comments gone."""
    text = re.sub(r"\\\n", " ", re.sub(r"^\s*#.*\n", "", file.read_text(), flags=re.MULTILINE))
    return [(name.upper(), rest) for name, _, rest in (line.strip().partition(" ") for line in text.splitlines() if line.strip())]


def stages(file: Path) -> dict[str, list[tuple[str, str]]]:
    """Instructions by the stage's name; the last stage of a file may have none."""
    found: dict[str, list[tuple[str, str]]] = {}
    here: list[tuple[str, str]] = []
    for name, rest in instructions(file):
        if name == "FROM":
            here = found.setdefault(rest.partition(" AS ")[2], [])
        here.append((name, rest))
    return found


@dockerfile
def test_hadolint_finds_nothing(file: Path) -> None:
    found = subprocess.run([Path(sys.executable).with_name("hadolint"), "--no-color", file], capture_output=True, text=True)
    assert (found.returncode, found.stdout, found.stderr) == (0, "", "")


@dockerfile
def test_an_engine_without_buildkit_can_build_it(file: Path) -> None:
    text = file.read_text()
    assert "<<" not in text and "--mount" not in text and "--link" not in text and "--chmod" not in text and "# syntax" not in text


@dockerfile
def test_what_runs_is_no_root_by_number_and_known_by_version_and_commit(file: Path) -> None:
    final = [stages(file)[name] for name in (("cpu", "gpu") if file == DOCKERFILES[0] else ("",))]
    for stage in final:
        assert [rest for name, rest in stage if name == "USER"] == ["10001:10001"]
        labels = next(rest for name, rest in stage if name == "LABEL")
        assert 'version="$VERSION"' in labels and 'revision="$GIT_COMMIT"' in labels


@dockerfile
def test_the_entry_point_is_tried_by_the_user_who_will_run_it(file: Path) -> None:
    for name in ("cpu", "gpu") if file == DOCKERFILES[0] else ("",):
        names = [instruction for instruction, _ in stages(file)[name]]
        assert names.index("USER") < names.index("RUN")
        tried = next(rest for instruction, rest in stages(file)[name] if instruction == "RUN")
        assert ("kfp.dsl.executor_main" in tried and "-m pipeline" in tried) or "mlflow server" in tried


@dockerfile
def test_every_installation_is_bound_by_the_constraints_and_leaves_no_cache(file: Path) -> None:
    installed = [rest for name, rest in instructions(file) if name == "RUN" and "pip install" in rest]
    assert installed
    assert all("-c constraints.txt" in rest and "--no-cache-dir" in rest for rest in installed)


@dockerfile
def test_the_base_image_is_an_argument(file: Path) -> None:
    assert next(rest for name, rest in instructions(file) if name == "FROM") == "${BASE} AS base"


def test_kfps_own_command_reaches_the_shell() -> None:
    assert "ENTRYPOINT" not in [name for name, _ in instructions(DOCKERFILES[0])]


@pytest.mark.parametrize("package", ["finest", "tracking", "storage", "components", "pipeline"])
def test_every_package_gets_into_the_build_and_into_the_image(package: str) -> None:
    assert f"!{package}" in (ROOT / ".dockerignore").read_text().splitlines()
    assert ("COPY", f"{package} {package}") in stages(DOCKERFILES[0])["app"]


def test_every_config_of_ours_gets_into_the_build() -> None:
    allowed = [line.removeprefix("!") for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    left_out = [file.name for file in ROOT.glob("*.yaml") if not any(fnmatch(file.name, pattern) for pattern in allowed)]
    assert left_out == []


def test_the_images_name_is_that_of_this_version() -> None:
    assert tuple(f"finest:{PROJECT['version']}{end}" for end in ("", "-gpu")) == (IMAGE, GPU_IMAGE)


def test_requirements_are_those_of_the_groups_that_are_asked_for() -> None:
    spec = spec_from_file_location("requirements", ROOT / "docker" / "requirements.py")
    assert spec and spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    text = '[project]\ndependencies = ["torch"]\noptional-dependencies = {server = ["mlflow[auth]>=3", "boto3"], dev = ["pytest"]}'
    assert module.requirements(text, ["finest", "server"]) == ["torch", "mlflow[auth]>=3", "boto3"]
    with pytest.raises(KeyError, match="sever"):
        module.requirements(text, ["sever"])


@pytest.mark.parametrize("group", ["pipeline", "gpu", "server"])
def test_everything_that_an_image_asks_for_is_pinned(group: str) -> None:
    pinned = {line.partition("==")[0].lower() for line in (ROOT / "constraints.txt").read_text().split()}
    asked = {re.split(r"[\[<>=]", requirement)[0].lower() for requirement in PROJECT["optional-dependencies"][group]}
    assert asked <= pinned
