"""Public data sets to try the product on: fetched when asked for, checked, cached outside the repository."""

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import NamedTuple

import platformdirs

from finest import atomic
from finest.errors import ConfigError, FinestError

TIMEOUT_S = 300
"""Time, in seconds, that pip may take, its own retries included."""


class DemoData(NamedTuple):
    """A file inside a wheel, with the sha256 of the file."""

    requirement: str
    member: str
    sha256: str


DEMO_DATA = {
    "ml-100k": DemoData(
        requirement="recbole==1.2.1",
        member="recbole/dataset_example/ml-100k/ml-100k.inter",
        sha256="4edb74e2a81178c2ba9ff381495f754f996c4aea351b1272ca36b43da0935eff",
    )
}
"""ml-100k: 100,000 ratings of films, as RecBole ships what GroupLens collected
(https://grouplens.org/datasets/movielens/100k/)."""


def fetch(name: str) -> Path:
    """Returns the data set's file in the cache folder (the user's, or FINEST_CACHE), downloading it if it is missing.

    Raises:
        ConfigError: The name is unknown.
        FinestError: It cannot be fetched, or is not what it should be.
    """
    if name not in DEMO_DATA:
        raise ConfigError(
            f"no demo data set {name!r}; there is {', '.join(DEMO_DATA)}; give a file of your own with --source FILE"
        )
    wanted = DEMO_DATA[name]
    folder = Path(os.environ.get("FINEST_CACHE") or platformdirs.user_cache_dir("finest"))
    file = folder / Path(wanted.member).name
    if file.is_file() and _sha256(file.read_bytes()) == wanted.sha256:
        return file
    content = _download(name, wanted)
    try:
        with atomic.file(file) as partial:
            partial.write_bytes(content)
    except OSError as error:
        raise FinestError(
            f"{folder}: cannot write the demo data set {name} ({error.strerror}); set FINEST_CACHE to another folder"
        ) from error
    return file


def _download(name: str, wanted: DemoData) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        try:
            _pip_download(wanted.requirement, folder)
        except subprocess.SubprocessError as error:
            said = (getattr(error, "stderr", None) or str(error)).strip().splitlines()
            raise FinestError(
                f"cannot fetch the demo data set {name} ({wanted.requirement} from the package index: {said[-1]});"
                " check the network, or use a file of your own with --source FILE"
            ) from error
        wheel = next(Path(folder).glob("*.whl"))
        with zipfile.ZipFile(wheel) as archive:
            content = archive.read(wanted.member)
    if (found := _sha256(content)) != wanted.sha256:
        raise FinestError(
            f"the demo data set {name} has sha256 {found}, not {wanted.sha256}; "
            "use a file of your own with --source FILE"
        )
    return content


def _pip_download(requirement: str, folder: str) -> None:
    """Downloads a wheel; pip tries again by itself where the network fails."""
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    command = [*pip, "download", requirement, "--no-deps", "--only-binary=:all:", "--dest", folder]
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=TIMEOUT_S)


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
