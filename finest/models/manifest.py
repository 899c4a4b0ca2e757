"""The manifest of a package: the sha256 of every file in it, and by what it was proven.

A package is served only as it was packed. Whoever takes one from the store, and the served model itself when it is
loaded, holds every file against `manifest.json`; of that one the ledger keeps the digest.
"""

import hashlib
import json
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from finest import sealed
from finest.errors import DamagedError
from finest.sealed import SHOWN, difference, text_of

NAME, SIGNATURE = "manifest.json", "model.sig"
BESIDE = {NAME, SIGNATURE, "registered_model_meta"}
"""Files that a manifest cannot hold: itself, its signature, and what MLflow adds to whatever it downloads."""
COMPILED = "__pycache__"
"""Folder of what Python compiles as it loads a package's code."""
MODEL, CARD, JUDGED, VERDICT = "model", "model_card.md", "judged.json", "verdict.json"
"""What lies in a package's folder `artifacts`: the model, its card, some of the lists that were judged, the verdict."""


class PackageManifest(BaseModel):
    """Says what a package holds and what it was proven by; what a newer release adds is read over."""

    model_config = ConfigDict(frozen=True)

    files: dict[str, str]
    """Digest (sha256) by path in the package."""
    line: str
    """Name of the line."""
    run: str
    """Id of the pipeline run."""
    verdict: str
    """Digest of its verdict: the sha256 of verdict.json."""
    data_fingerprint: str
    """Fingerprint of the data set that it was trained and judged on."""
    finest: str
    """Version of this library."""
    git_commit: str
    """Commit of the code; empty where nobody knows."""
    image_digest: str
    """Digest of the image; empty outside of one."""


def digest_of(text: str) -> str:
    """Returns the sha256 of a text."""
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


def digests(package: Path, compiled: bool = False) -> dict[str, str]:
    """Returns the digest of every file of a package, by its path there.

    Args:
        package: The folder.
        compiled: Whether Python has run code in there, and may have left what it compiled.
    """
    return sealed.digests(package, lambda path: path.as_posix() in BESIDE or (compiled and COMPILED in path.parts))


def write(package: Path, manifest: PackageManifest) -> str:
    """Writes the manifest of a package whose files are all there; returns its digest."""
    text = text_of(manifest.model_dump())
    (package / NAME).write_text(text, encoding="utf-8")
    return digest_of(text)


def check(package: Path, expected: str = "", compiled: bool = False) -> PackageManifest:
    """Returns a package's manifest, once every file of it is what was packed.

    Args:
        package: The folder.
        expected: The manifest's digest by the ledger; empty where nobody knows.
        compiled: As in `digests`.

    Raises:
        DamagedError: Something is not: the message names the file.
    """
    try:
        raw = (package / NAME).read_bytes()
        manifest = PackageManifest.model_validate_json(raw)
    except FileNotFoundError:
        raise DamagedError(f"{NAME} is missing") from None
    except ValidationError:
        raise DamagedError(f"{NAME} cannot be read") from None
    text = text_of(json.loads(raw))
    if raw != text.encode(errors="surrogatepass"):
        raise DamagedError(f"{NAME} is not as it was written")
    if expected and digest_of(text) != expected:
        raise DamagedError(f"{NAME} has the digest {digest_of(text)[:SHOWN]}, and should have {expected[:SHOWN]}")
    there = digests(package, compiled)
    if said := difference(manifest.files, there, "packed"):
        raise DamagedError(said)
    if manifest.verdict != there.get(f"artifacts/{VERDICT}"):
        raise DamagedError(f"artifacts/{VERDICT} is not the verdict that {NAME} names")
    return manifest
