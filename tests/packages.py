"""Packages built from this checkout, and environments that hold them alone."""

import shutil
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]
WHEEL = ("finest", "components", "pipeline", "storage", "tracking", "pyproject.toml", "README.md", "LICENSE")
"""Files and folders that the wheel is made of."""


def checked_in(*under: str) -> list[str]:
    """Returns the files that git knows of, those that are new and not ignored too, relative to the checkout's root."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *under],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [name for name in listed.stdout.splitlines() if (ROOT / name).exists()]


def copied(project: Path, folder: Path, *names: str) -> Path:
    """Copies a project's files, or those `names` of them, to `folder` and returns it.

    Setuptools writes beside what it builds.
    """
    for name in checked_in(*(str(project / name) for name in names or ("",))):
        place = folder / (ROOT / name).relative_to(project)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, place)
    return folder


def build_wheel(folder: Path) -> Path:
    """Builds the checkout's wheel in `folder` and returns it."""
    return build(copied(ROOT, folder / "source", *WHEEL), folder)


def build(source: Path, folder: Path) -> Path:
    """Builds the wheel of the project in `source` and returns it."""
    program = f"from setuptools import build_meta; print(build_meta.build_wheel({str(folder)!r}))"
    built = subprocess.run([sys.executable, "-c", program], cwd=source, capture_output=True, text=True, check=True)
    return folder / built.stdout.splitlines()[-1]


def environment(folder: Path, *wheels: Path) -> Path:
    """Makes an environment in `folder` of the wheels, and what they need of the tests' environment; returns its Python.

    Nothing of the checkout is in it. What the tests' environment has installed is reached by a path, for want of
    minutes and gigabytes.
    """
    venv.create(folder, with_pip=False)
    (site,) = folder.glob("lib/python*/site-packages")
    python = folder / "bin" / "python"
    install(python, *wheels)
    (site / "shared.pth").write_text("\n".join(place for place in sys.path if place.endswith("site-packages")))
    return python


def put_others(folder: Path) -> None:
    """Puts packages of somebody else's into a folder, of the wheel's names; whoever imports one there fails."""
    for name in ("pipeline", "storage"):
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text("raise ImportError('somebody else\\'s')")


def install(python: Path, *wheels: Path) -> None:
    """Installs wheels, without what they need, into the environment of `python`."""
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*pip, "--disable-pip-version-check", *map(str, wheels)], check=True)


def uninstall(python: Path, name: str) -> None:
    """Removes a package from the environment of `python`."""
    pip = [sys.executable, "-m", "pip", "--python", str(python), "uninstall", "--quiet", "--yes"]
    subprocess.run([*pip, "--disable-pip-version-check", name], check=True)
