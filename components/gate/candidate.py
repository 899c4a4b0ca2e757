"""The candidate that a verdict is about: its folder, and the digests by which it is known again."""

import hashlib
from pathlib import Path

from finest import sealed
from finest.gate.config import Gate, digest
from finest.training.group_folder import CANDIDATE

MODEL, LISTS = "model", "lists.parquet"
"""Names in a candidate's folder: the model's folder, and the rank lists that were judged."""


def judged(group: Path, config: Gate, fingerprint: str | None) -> dict[str, str]:
    """Returns digests of what a verdict is about, by which whoever acts on it knows that it is that still."""
    return {
        **digests(group / "lists" / "tuned" / "clean.parquet", group / CANDIDATE),
        "config": digest(config),
        "fingerprint": fingerprint or "",
    }


def digests(lists: Path, model: Path) -> dict[str, str]:
    """Returns those of a candidate's rank lists and of its model's folder, wherever they are."""
    return {"lists": sha256(lists), "model": sha256(model)}


def sha256(path: Path) -> str:
    """Returns the digest of a file, or of a folder: of its files' names and digests."""
    if path.is_dir():
        lines = [f"{file} {digest}\n" for file, digest in sealed.digests(path).items()]
        return hashlib.sha256("".join(lines).encode()).hexdigest()
    return sealed.sha256(path)
