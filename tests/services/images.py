"""Images of ours in a real engine: skipped where there is no engine, or none of this checkout's images in it."""

import hashlib
import subprocess
from pathlib import Path

import pytest

from components.image import GPU_IMAGE, IMAGE

ROOT = Path(__file__).parents[2]
MLFLOW_IMAGE = IMAGE.replace("finest:", "finest-mlflow:")
LOCKED = [
    "--read-only",
    "--cap-drop",
    "ALL",
    "--security-opt",
    "no-new-privileges",
    "--network",
    "none",
    "--tmpfs",
    "/tmp",
]
"""What a hardened cluster takes from a container; a step's log and outputs have a volume."""
PACKAGES = ("finest", "tracking", "storage", "components", "pipeline")
NOT_CODE = (".pyc", ".md")
"""What a wheel leaves out, or an installation adds."""
HASH = f"""
import hashlib, pathlib, finest
root = pathlib.Path(finest.__file__).parents[1]
files = [file for package in {PACKAGES} for file in (root / package).rglob("*") if file.suffix not in {NOT_CODE}]
files = sorted(file for file in files if file.is_file())
print(hashlib.sha256(b"".join(str(file.relative_to(root)).encode() + file.read_bytes() for file in files)).hexdigest())
"""
"""A program that prints the hash of the code that is installed where it runs."""


def docker(*arguments: str, timeout: float = 120) -> subprocess.CompletedProcess[str]:
    """Runs a command of the engine's command line."""
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, timeout=timeout)


def code_here() -> str:
    """What HASH prints for this checkout."""
    files = sorted(
        file
        for package in PACKAGES
        for file in Path(ROOT, package).rglob("*")
        if file.is_file() and file.suffix not in NOT_CODE
    )
    return hashlib.sha256(
        b"".join(str(file.relative_to(ROOT)).encode() + file.read_bytes() for file in files)
    ).hexdigest()


@pytest.fixture(scope="session")
def engine() -> None:
    """Skips where no engine answers."""
    try:
        info = docker("info")
    except FileNotFoundError:
        pytest.skip("docker is not installed")
    if info.returncode:
        pytest.skip(f"no Docker engine answers: {(info.stderr or info.stdout).strip().splitlines()[-1]}")


def of_this_checkout(image: str, how: str) -> str:
    """The image's name; skips where it is not there or holds other code."""
    if docker("image", "inspect", image).returncode:
        pytest.skip(f"no image {image}: {how}")
    if docker("run", "--rm", *LOCKED, image, "python", "-c", HASH).stdout.strip() != code_here():
        pytest.skip(f"{image} holds other code than this checkout: {how}")
    return image


@pytest.fixture(scope="session")
def steps_image(engine: None) -> str:
    """The CPU image."""
    return of_this_checkout(IMAGE, "make images")


@pytest.fixture(scope="session")
def gpu_image(engine: None) -> str:
    """The image with a CUDA build of torch; it starts without a GPU too."""
    return of_this_checkout(GPU_IMAGE, "make images TARGETS=gpu")


@pytest.fixture(scope="session")
def mlflow_image(engine: None) -> str:
    """The MLflow server's image."""
    if docker("image", "inspect", MLFLOW_IMAGE).returncode:
        pytest.skip(f"no image {MLFLOW_IMAGE}: make images")
    return MLFLOW_IMAGE
