"""The manifest of a package: the sha256 of every file in it, and by what it was proven.

A package is served only as it was packed. Whoever takes one from the store, and the served model itself when it is
loaded, holds every file against `manifest.json`; of that one the ledger keeps the digest.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from finest.errors import FinestError

NAME, SIGNATURE = "manifest.json", "model.sig"
BESIDE = {NAME, SIGNATURE, "registered_model_meta"}
"""Files that a manifest cannot hold: itself, its signature, and what MLflow adds to whatever it downloads."""
COMPILED = "__pycache__"
"""Folder of what Python compiles as it loads a package's code."""
MODEL, CARD, JUDGED, VERDICT = "model", "model_card.md", "judged.json", "verdict.json"
"""What lies in a package's folder `artifacts`: the model, its card, some of the lists that were judged, the verdict."""
SHOWN = 12
"""Number of digits of a digest in a message."""


class DamagedError(FinestError):
    """Means that a package is not what was packed."""


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


def text_of(content: Any) -> str:
    """Returns the only text that a manifest of that content may have, so that not even a blank can change unseen."""
    return json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def digest_of(text: str) -> str:
    """Returns the sha256 of a text."""
    return hashlib.sha256(text.encode()).hexdigest()


def digests(package: Path, compiled: bool = False) -> dict[str, str]:
    """Returns the digest of every file of a package, by its path there.

    Args:
        package: The folder.
        compiled: Whether Python has run code in there, and may have left what it compiled.
    """
    found = {}
    for file in sorted(package.rglob("*")):
        path = file.relative_to(package)
        if path.as_posix() in BESIDE or (compiled and COMPILED in path.parts):
            continue
        if file.is_symlink() or file.is_file():
            with file.open("rb") as content:
                found[path.as_posix()] = hashlib.file_digest(content, "sha256").hexdigest()
    return found


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
    if raw != text.encode():
        raise DamagedError(f"{NAME} is not as it was written")
    if expected and digest_of(text) != expected:
        raise DamagedError(f"{NAME} has the digest {digest_of(text)[:SHOWN]}, and should have {expected[:SHOWN]}")
    there = digests(package, compiled)
    for path in sorted(manifest.files.keys() | there.keys()):
        packed, found = manifest.files.get(path), there.get(path)
        if packed != found:
            raise DamagedError(_difference(path, packed, found))
    if manifest.verdict != there.get(f"artifacts/{VERDICT}"):
        raise DamagedError(f"artifacts/{VERDICT} is not the verdict that {NAME} names")
    return manifest


def _difference(path: str, packed: str | None, found: str | None) -> str:
    if packed is None:
        return f"{path} was not packed with it"
    if found is None:
        return f"{path} is missing"
    return f"{path} has the digest {found[:SHOWN]}, and was packed with {packed[:SHOWN]}"
