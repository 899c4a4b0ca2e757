"""Looks whether the store is sound: the embedded database, and the artifacts that the registry and runs need."""

import shutil
import sqlite3
from pathlib import Path

from finest import errors
from tracking import embedded, registry
from tracking.answer import asked
from tracking.ledger import SUFFIX
from tracking.retained import Retained
from tracking.store import connect, uri

PROBE = "probe-"
"""What names of folders begin with that a check of the store writes, reads and removes."""
LOGGED = "models:/m-"
"""What sources of versions begin with that we have registered: a logged model's."""


def database() -> str | None:
    """Returns what is wrong with the embedded database, one line; None for nothing, and for a server's."""
    file = embedded.file_of(uri())
    if file is None or not file.exists():
        return None
    try:
        with embedded.opened(file) as opened:
            found = [str(row[0]) for row in opened.execute("PRAGMA integrity_check(3)")]
    except sqlite3.DatabaseError as error:
        found = [errors.one_line(error)]
    return None if found == ["ok"] else f"{file} is damaged: {'; '.join(found)}"


def missing(runs: list[Retained]) -> list[str]:
    """Returns a line for every version whose package, and every judged run whose verdict, is not on this machine.

    Args:
        runs: What the store keeps of all pipeline runs.
    """
    client, found = asked(connect), []
    for model in client.search_registered_models(max_results=1000):
        for version in [] if model.name.endswith(SUFFIX) else registry.list_versions(model.name):
            source = client.get_model_version(version.name, version.version).source or ""
            if not source.startswith(LOGGED):
                continue
            place = embedded.folder_of(client.get_logged_model(source.removeprefix("models:/")).artifact_location)
            if place and not (place / "MLmodel").is_file():
                found.append(f"the package of {version.name} version {version.version} is not in {place}")
    for run in runs:
        parent = embedded.folder_of(client.get_run(run.members[-1]).info.artifact_uri)
        if run.verdict and parent and not (parent / "verdict.json").is_file():
            found.append(f"verdict.json of the run {run.kfp_run} is not in {parent}")
    return found


def probes() -> list[Path]:
    """Returns the folders that checks of the store have left which were killed."""
    file = embedded.file_of(uri())
    folder = embedded.artifacts(file) if file else None
    return sorted(folder.glob(f"{PROBE}*")) if folder and folder.is_dir() else []


def mend() -> None:
    """Removes what killed checks have left, and gives the room of removed runs in the database back to the disk."""
    for place in probes():
        shutil.rmtree(place)
    if (file := embedded.file_of(uri())) is not None and file.exists():
        with embedded.opened(file) as opened:
            opened.execute("VACUUM")
