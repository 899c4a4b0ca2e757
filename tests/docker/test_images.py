"""What is in the images, and that they run with nothing but a place for temporary files."""

import json
import re
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from tests.services.images import LOCKED, ROOT, docker

pytestmark = pytest.mark.docker

LARGEST_BYTES = 2_200_000_000
FROM_TORCH = ("nvidia-", "cuda-", "triton")
"""What a CUDA build of torch brings along; its own metadata names the versions, for that build."""


@pytest.fixture(params=["steps_image", "gpu_image", "mlflow_image"])
def image(request: pytest.FixtureRequest) -> str:
    name: str = request.getfixturevalue(request.param)
    return name


@pytest.fixture(params=["steps_image", "gpu_image"])
def either_image(request: pytest.FixtureRequest) -> str:
    """Both in which steps run."""
    name: str = request.getfixturevalue(request.param)
    return name


def described(image: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(docker("image", "inspect", image).stdout)[0]
    return found


def inside(image: str, *command: str) -> subprocess.CompletedProcess[str]:
    return docker("run", "--rm", *LOCKED, image, *command)


def test_it_runs_as_a_numbered_user_other_than_root(image: str) -> None:
    assert described(image)["Config"]["User"] == "10001:10001"
    assert inside(image, "id", "-u").stdout == "10001\n"


def test_it_runs_as_a_user_whom_it_does_not_know(image: str) -> None:
    ran = docker(
        "run",
        "--rm",
        *LOCKED,
        "--user",
        "4321:4321",
        image,
        "python",
        "-c",
        "import getpass, mlflow; print(getpass.getuser())",
    )
    assert ran.returncode == 0 and ran.stdout.strip() in ("finest", "mlflow"), ran.stderr


def test_its_labels_name_the_version_and_the_commit(image: str) -> None:
    labels = described(image)["Config"]["Labels"]
    assert labels["org.opencontainers.image.version"] == image.partition(":")[2].removesuffix("-gpu")
    assert len(labels["org.opencontainers.image.revision"].partition("+")[0]) == 40


def test_packages_are_those_of_the_constraints(image: str) -> None:
    pinned = dict(line.lower().replace("_", "-").split("==") for line in (ROOT / "constraints.txt").read_text().split())
    frozen = inside(image, "python", "-m", "pip", "freeze").stdout.lower().replace("_", "-").splitlines()
    built = [line for line in frozen if " @ " in line]  # from a file: our own wheel
    assert all(line.startswith("finest @ ") for line in built)
    installed = {
        name: version.partition("+")[0]
        for name, _, version in (line.partition("==") for line in frozen if line not in built)
    }
    assert len(installed) > 50
    others = {name: version for name, version in installed.items() if version != pinned.get(name)}
    assert [name for name in others if not name.startswith(FROM_TORCH)] == []


def test_no_compiler_and_no_installation_cache_is_left(image: str) -> None:
    left = inside(image, "sh", "-c", "command -v cc gcc clang make; ls -d /root/.cache /tmp/* /build 2>/dev/null")
    assert left.stdout == ""


def test_the_cpu_image_is_small(steps_image: str) -> None:
    assert described(steps_image)["Size"] < LARGEST_BYTES


def carried(image: str) -> tuple[bool, bool]:
    """Whether its torch is built for CUDA, and whether any package of CUDA is there."""
    frozen = inside(image, "python", "-m", "pip", "freeze").stdout.lower().split()
    built = inside(image, "python", "-c", "import torch; print(torch.version.cuda is not None)")
    return built.stdout == "True\n", any(package.startswith(FROM_TORCH) for package in frozen)


def asked_for(image: str) -> str:
    """GPUs that the image asks the engine's NVIDIA runtime for."""
    environment: list[str] = described(image)["Config"]["Env"]
    return dict(line.split("=", 1) for line in environment).get("NVIDIA_VISIBLE_DEVICES", "")


def test_the_cpu_image_carries_nothing_of_cuda_and_asks_for_no_gpu(steps_image: str) -> None:
    assert (carried(steps_image), asked_for(steps_image)) == ((False, False), "")


def test_the_gpu_image_carries_cuda_and_asks_for_the_gpus(gpu_image: str) -> None:
    assert (carried(gpu_image), asked_for(gpu_image)) == ((True, True), "all")


def test_a_component_runs_with_the_command_that_kfp_gives_it(either_image: str, tmp_path: Path) -> None:
    """The container's file system is read-only and its output folder mounted, as in a pod."""
    tmp_path.chmod(0o777)
    component = (
        "from kfp.dsl import *\n"
        "def say(word: str) -> str:\n    import finest.training.loop, tracking.runs\n    return word * 2\n"
    )
    given = {
        "inputs": {"parameterValues": {"word": "x"}},
        "outputs": {
            "parameters": {"Output": {"outputFile": "/outputs/Output"}},
            "outputFile": "/outputs/executor_output.json",
        },
    }
    script = (
        'program_path=$(mktemp -d)\nprintf "%s" "$0" > "$program_path/ephemeral_component.py"\n'
        "_KFP_RUNTIME=true python3 -m kfp.dsl.executor_main"
        ' --component_module_path "$program_path/ephemeral_component.py" "$@"\n'
    )
    command = ["sh", "-ec", script, component, "--executor_input", json.dumps(given), "--function_to_execute", "say"]
    ran = docker("run", "--rm", *LOCKED, "--volume", f"{tmp_path}:/outputs", either_image, *command)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert json.loads((tmp_path / "executor_output.json").read_text()) == {"parameterValues": {"Output": "xx"}}


def test_the_command_line_compiles_the_pipeline_that_it_holds(either_image: str) -> None:
    command = "finest compile --output /tmp/compiled.yaml && grep -c '^ *image: ' /tmp/compiled.yaml"
    ran = inside(either_image, "sh", "-c", command)
    assert ran.returncode == 0 and int(ran.stdout.split()[-1]) >= 10, ran.stderr


def test_the_server_answers(mlflow_image: str) -> None:
    started = docker("run", "--detach", "--rm", *LOCKED, mlflow_image)
    assert started.returncode == 0, started.stderr
    container = started.stdout.strip()
    ask = (
        "from urllib.request import urlopen; print(urlopen('http://127.0.0.1:5000/health', timeout=5).read().decode())"
    )
    try:
        deadline = time.monotonic() + 120
        while (answer := docker("exec", container, "python", "-c", ask)).returncode and time.monotonic() < deadline:
            time.sleep(1)
        assert answer.stdout == "OK\n", answer.stderr + docker("logs", container).stderr
    finally:
        docker("kill", container)


@pytest.mark.parametrize("module", ["psycopg2", "boto3", "mlflow.server.auth"])
def test_the_server_has_what_a_shared_installation_needs(module: str, mlflow_image: str) -> None:
    assert (
        inside(
            mlflow_image, "python", "-c", f"import importlib.util; assert importlib.util.find_spec('{module}')"
        ).returncode
        == 0
    )


@pytest.mark.parametrize(("image", "build"), [("cpu", "+cpu"), ("gpu", ""), ("gpu", "+cu130")])
def test_a_build_that_cannot_have_its_torch_stops_there_and_names_it(
    image: str, build: str, engine: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By an engine that builds every stage of a file, cut off from the network.

    An index of its own keeps it from the engine's cache.
    """
    monkeypatch.setenv("DOCKER_BUILDKIT", "0")
    arguments = [
        "BUILD=docker build --network none --force-rm",
        "TORCH_INDEX=https://index.invalid",
        f"GPU_BUILD={build}",
    ]
    stopped = subprocess.run(["make", f"image-{image}", *arguments], cwd=ROOT, capture_output=True, text=True)
    (torch,) = re.findall("^torch==.*", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    assert stopped.returncode != 0
    named = re.findall("error: if there is no (torch.*?),", stopped.stdout + stopped.stderr)
    assert named == [torch.replace("==", "===") + build]
