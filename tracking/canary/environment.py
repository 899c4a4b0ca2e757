"""Where a package is tried: what its requirements say, against what is installed or in an environment made of them."""

import os
import shlex
import site
import subprocess
import sys
import venv
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from finest.errors import FinestError
from finest.models import signature

Kind = Literal["installed", "virtualenv"]
REQUIREMENTS = "requirements.txt"
LOCALE = ("LANG", "LANGUAGE", "LC_ALL", "LC_CTYPE", "TZ")
KEPT = (*LOCALE, "USER", "LOGNAME", "PATH", "TMPDIR", "LD_LIBRARY_PATH", "OMP_NUM_THREADS", signature.PUBLIC)
"""Environment variables that a package is tried with; credentials are none of its business."""
OWN = "finest"


def python_for(package: Path, kind: Kind, scratch: Path) -> str:
    """Returns the Python in which a package is tried.

    Args:
        package: Folder of the package.
        kind: `installed` for this one's own environment, which must be as required; `virtualenv` for one that pip makes
            of the requirements.
        scratch: Folder for that one.

    Raises:
        FinestError: A requirement is not there, or pip cannot install it.
    """
    if kind == "installed":
        if missing := unsatisfied(package):
            more = f" ({len(missing) - 1} more)" if len(missing) > 1 else ""
            raise FinestError(
                f"the package requires {missing[0]}{more}: run this with what it was packaged with, or let "
                "promote.canary_environment: virtualenv install its requirements"
            )
        return sys.executable
    folder = scratch / "environment"
    venv.create(folder, with_pip=True)
    python = str(folder / "bin" / "python")
    command = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"]
    # With the whole environment: where an index is, and who may read it, stands there.
    done = subprocess.run([*command, package / REQUIREMENTS], capture_output=True, text=True, errors="replace")
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or ["no word of pip"]
        raise FinestError(f"the package's requirements cannot be installed: {said[-1]}")
    return python


def unsatisfied(package: Path) -> list[str]:
    """Returns the requirements that what is installed does not meet, each with what there is instead.

    Local labels such as +cpu are the same version.
    """
    found = []
    for line in _lines(package):
        try:
            wanted = Requirement(line)
        except InvalidRequirement:
            found.append(f"{line!r}, which is no requirement of a package and its version")
            continue
        if wanted.marker and not wanted.marker.evaluate():
            continue
        try:
            there = Version(version(wanted.name)).public
        except PackageNotFoundError:
            found.append(f"{wanted}, and no {canonicalize_name(wanted.name)} is installed")
            continue
        if not wanted.specifier.contains(there, prereleases=True):
            found.append(f"{wanted}, and {there} is installed")
    return found


def _lines(package: Path) -> list[str]:
    try:
        text = (package / REQUIREMENTS).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise FinestError(f"the package has no {REQUIREMENTS}: nobody can say what it runs with") from None
    return [line for raw in text.splitlines() if (line := raw.partition(" #")[0].strip()) and not line.startswith("#")]


def _commands(scratch: Path, python: str) -> Path:
    """Makes a folder with the command `uvicorn`, which MLflow's server calls by name: it may lie on nobody's path."""
    folder = scratch / "bin"
    folder.mkdir(exist_ok=True)
    (folder / "uvicorn").write_text(f'#!/bin/sh\nexec {shlex.quote(python)} -m uvicorn "$@"\n')
    (folder / "uvicorn").chmod(0o700)
    return folder


def variables(scratch: Path, python: str) -> dict[str, str]:
    """Returns the environment variables that a package is tried with.

    The checkout is not on the import path, pickle is refused, nothing is compiled into the package, and what looks for
    credentials or a tracking server finds a folder that is deleted afterwards.

    Args:
        scratch: That folder.
        python: The Python that runs, whose uvicorn comes first in PATH.
    """
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    paths = [one for one in os.environ.get("PYTHONPATH", "").split(os.pathsep) if one]
    others = [one for one in paths if not (Path(one) / OWN).is_dir()]
    return {
        "OMP_NUM_THREADS": "1",  # a small model's threads wait for each other longer than they compute
        **kept,
        "PATH": os.pathsep.join([str(_commands(scratch, python)), kept.get("PATH", os.defpath)]),
        **({"PYTHONPATH": os.pathsep.join(others)} if others else {}),
        "HOME": str(scratch),
        "PYTHONUSERBASE": site.getuserbase(),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONSAFEPATH": "1",
        "PYTHONIOENCODING": "utf-8",
        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
        "MLFLOW_TRACKING_URI": (scratch / "mlflow").as_uri(),
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MPLCONFIGDIR": str(scratch),
        "CUDA_VISIBLE_DEVICES": "",
    }
