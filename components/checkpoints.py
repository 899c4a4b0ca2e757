"""Notes which checkpoints a run used, so that they can be removed once it has a verdict.

Their names say what they hold and not who made them: that is what lets another run go on from them.
"""

import os
from dataclasses import dataclass
from pathlib import Path

import storage
from finest.training.store import Lock, Store
from tracking.runs import kfp_run_id


@dataclass(frozen=True)
class TrackingStore:
    """Wraps a store and keeps a note, under `runs/<run>/`, of every name that the run has put or got."""

    store: Store
    run: str
    """Id of the pipeline run."""

    def put(self, name: str, file: Path) -> None:
        """Notes the name, then stores the file."""
        self._note(name)
        self.store.put(name, file)

    def get(self, name: str, file: Path) -> bool:
        """Reads `name` into the file. Returns whether it was there, and notes the name if so."""
        found = self.store.get(name, file)
        if found:
            self._note(name)
        return found

    def list(self, prefix: str) -> list[str]:
        """Returns all names under the prefix."""
        return self.store.list(prefix)

    def delete(self, prefix: str) -> None:
        """Removes everything under the prefix."""
        self.store.delete(prefix)

    def lock(self, name: str) -> Lock:
        """Returns a lock that one process at a time can hold."""
        return self.store.lock(name)

    def _note(self, name: str) -> None:
        self.store.put(f"runs/{self.run}/{name}", Path(os.devnull))


def open_store(checkpoints: str) -> TrackingStore:
    """Returns the store at a folder or URI, for this pipeline run."""
    return TrackingStore(storage.checkpoint_store(checkpoints), kfp_run_id())


def forget(checkpoints: str) -> None:
    """Removes the checkpoints that this pipeline run used."""
    noted = open_store(checkpoints)
    notes = f"runs/{noted.run}/"
    for name in noted.list(notes):
        noted.delete(name.removeprefix(notes))
    noted.delete(notes)
