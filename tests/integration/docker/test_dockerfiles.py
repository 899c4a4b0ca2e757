"""What the Dockerfiles promise, as far as it shows without an engine."""

import re
import shlex
import subprocess
import sys
import tomllib
from importlib.util import module_from_spec, spec_from_file_location
from itertools import takewhile
from pathlib import Path
from shutil import copy

import pytest

from components.image import GPU_IMAGE, IMAGE

ROOT = Path(__file__).parents[3]
DOCKERFILES = [ROOT / "docker" / "Dockerfile", ROOT / "docker" / "mlflow" / "Dockerfile"]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

dockerfile = pytest.mark.parametrize("file", DOCKERFILES, ids=["steps", "mlflow"])


def instructions(file: Path) -> list[tuple[str, str]]:
    """Name and arguments of each, with lines joined and comments gone."""
    text = re.sub(r"\\\n", " ", re.sub(r"^\s*#.*\n", "", file.read_text(), flags=re.MULTILINE))
    return [
        (name.upper(), rest)
        for name, _, rest in (line.strip().partition(" ") for line in text.splitlines() if line.strip())
    ]


def stages(file: Path) -> dict[str, list[tuple[str, str]]]:
    """Instructions by the stage's name, in the file's order; the last stage, which is the image, has none."""
    found: dict[str, list[tuple[str, str]]] = {}
    here: list[tuple[str, str]] = []
    for name, rest in instructions(file):
        if name == "FROM":
            here = found.setdefault(rest.partition(" AS ")[2], [])
        here.append((name, rest))
    return found


@dockerfile
def test_hadolint_finds_nothing(file: Path) -> None:
    found = subprocess.run(
        [Path(sys.executable).with_name("hadolint"), "--no-color", file], capture_output=True, text=True
    )
    assert (found.returncode, found.stdout, found.stderr) == (0, "", "")


@dockerfile
def test_an_engine_without_buildkit_can_build_it(file: Path) -> None:
    text = file.read_text()
    assert "<<" not in text and "# syntax" not in text
    options = [
        word for _, rest in instructions(file) for word in takewhile(lambda word: word.startswith("--"), rest.split())
    ]
    assert [option for option in options if not option.startswith("--from=")] == []
    assert not [
        rest for name, rest in instructions(file) if name not in ("RUN", "CMD") and re.search(r"\$\{\w+[#%/]", rest)
    ]


@pytest.mark.parametrize("image", ["cpu", "gpu", "mlflow"])
def test_an_engine_that_builds_every_stage_builds_nothing_that_only_another_image_needs(image: str) -> None:
    build = command(image)
    file = ROOT / build[build.index("-f") + 1]
    target = build[build.index("--target") + 1] if "--target" in build else ""
    above = list(stages(file))[: list(stages(file)).index(target) + 1]
    assert needed(file, target) == set(above)


def command(image: str) -> list[str]:
    """With which `make` builds an image."""
    make = ["make", "--no-print-directory", "--dry-run", f"image-{image}"]
    return shlex.split(subprocess.run(make, cwd=ROOT, capture_output=True, text=True, check=True).stdout)


def needed(file: Path, stage: str) -> set[str]:
    """The stage, and those that it starts from or copies from."""
    of = stages(file)
    named = {rest.split()[0] for name, rest in of[stage] if name == "FROM"} | set(
        re.findall(r"--from=(\S+)", str(of[stage]))
    )
    return {stage}.union(*(needed(file, other) for other in named & set(of)))


@pytest.mark.parametrize(("image", "reads_the_gpus_load"), [("cpu", False), ("gpu", True)])
def test_each_image_asks_for_what_it_needs_and_for_nothing_of_the_other_one(
    image: str, reads_the_gpus_load: bool, tmp_path: Path
) -> None:
    arguments = dict(word.split("=", 1) for word in command(image) if re.match("[A-Z_]+=", word))
    assert asks(arguments, tmp_path).returncode == 0
    asked = (tmp_path / "requirements.txt").read_text().split()
    assert {"torch", "mlflow>=3.17.2"} <= set(asked)
    assert ("nvidia-ml-py" in asked) is reads_the_gpus_load


@pytest.mark.parametrize("value", ["0", "false", "yes"])
def test_a_switch_that_is_neither_on_nor_off_is_refused_in_one_line(value: str, tmp_path: Path) -> None:
    asked = asks({"GPU": value}, tmp_path)
    assert (asked.returncode, asked.stderr) == (
        1,
        f"error: GPU is '{value}': give 1 for GPUs, and nothing for the CPU\n",
    )


def asks(arguments: dict[str, str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Runs in the folder what a build with these arguments runs to find what to install."""
    for file in ("pyproject.toml", "docker/requirements.py"):
        copy(ROOT / file, folder)
    (folder / "python").symlink_to(sys.executable)
    (run,) = [rest for name, rest in stages(DOCKERFILES[0])["requirements"] if name == "RUN"]
    return subprocess.run(
        ["/bin/sh", "-c", run], cwd=folder, env=arguments | {"PATH": str(folder)}, capture_output=True, text=True
    )


@dockerfile
def test_what_runs_is_no_root_by_number_and_known_by_version_and_commit(file: Path) -> None:
    image = stages(file)[""]
    assert [rest for name, rest in image if name == "USER"] == ["10001:10001"]
    labels = next(rest for name, rest in image if name == "LABEL")
    assert 'version="$VERSION"' in labels and 'revision="$GIT_COMMIT"' in labels


@dockerfile
def test_the_entry_point_is_tried_by_the_user_who_will_run_it(file: Path) -> None:
    image = stages(file)[""]
    names = [name for name, _ in image]
    tried = [rest for name, rest in image[names.index("USER") :] if name == "RUN"]
    assert len(tried) == 1
    assert ("kfp.dsl.executor_main" in tried[0] and "finest --help" in tried[0]) or "mlflow server" in tried[0]


@dockerfile
def test_every_installation_is_bound_by_the_constraints_and_leaves_no_cache(file: Path) -> None:
    installed = [rest for name, rest in instructions(file) if name == "RUN" and "pip install" in rest]
    assert installed
    assert all("-c constraints.txt" in rest or "--no-deps" in rest for rest in installed)
    assert all("--no-cache-dir" in rest for rest in installed)


@dockerfile
def test_the_base_image_is_an_argument(file: Path) -> None:
    assert next(rest for name, rest in instructions(file) if name == "FROM") == "${BASE} AS base"


def test_kfps_own_command_reaches_the_shell() -> None:
    assert "ENTRYPOINT" not in [name for name, _ in instructions(DOCKERFILES[0])]


@pytest.mark.parametrize("package", ["finest", "tracking", "storage", "components", "pipeline"])
def test_every_package_gets_into_the_build_and_into_the_wheel(package: str) -> None:
    assert f"!{package}" in (ROOT / ".dockerignore").read_text().splitlines()
    assert ("COPY", f"{package} {package}") in stages(DOCKERFILES[0])["wheel"]


def test_what_a_build_copies_is_not_ignored() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    allowed = {line.removeprefix("!") for line in lines if line.startswith("!")}
    copied = [rest.split()[:-1] for file in DOCKERFILES for name, rest in instructions(file) if name == "COPY"]
    assert {name for names in copied if not names[0].startswith("--from") for name in names} <= allowed


def test_the_images_name_is_that_of_this_version() -> None:
    assert tuple(f"finest:{PROJECT['version']}{end}" for end in ("", "-gpu")) == (IMAGE, GPU_IMAGE)


def test_requirements_are_those_of_the_groups_that_are_asked_for() -> None:
    spec = spec_from_file_location("requirements", ROOT / "docker" / "requirements.py")
    assert spec and spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    text = (
        '[project]\ndependencies = ["torch"]\n'
        'optional-dependencies = {server = ["mlflow[auth]>=3", "boto3"], dev = ["pytest"]}'
    )
    assert module.requirements(text, ["finest", "server"]) == ["torch", "mlflow[auth]>=3", "boto3"]
    with pytest.raises(KeyError, match="sever"):
        module.requirements(text, ["sever"])


@pytest.mark.parametrize("group", ["pipeline", "azure", "signing", "gpu", "server"])
def test_everything_that_an_image_asks_for_is_pinned(group: str) -> None:
    pinned = {line.partition("==")[0].lower() for line in (ROOT / "constraints.txt").read_text().split()}
    asked = {re.split(r"[\[<>=]", requirement)[0].lower() for requirement in PROJECT["optional-dependencies"][group]}
    assert asked <= pinned
