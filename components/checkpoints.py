"""Which checkpoints a run used, so that they can be removed once it has a verdict.

Their names say what they hold and not who made them: that is what lets another run go on from them.
"""

import os
from dataclasses import dataclass
from pathlib import Path

import storage
from finest.training.store import Lock, Store
from tracking.runs import kfp_run_id


@dataclass(frozen=True)
class Noted:
    """A store that keeps a note of every name that the run has put or got, under `runs/<run>/`."""

    store: Store
    run: str

    def put(self, name: str, file: Path) -> None:
        """Notes, then stores."""
        self._note(name)
        self.store.put(name, file)

    def get(self, name: str, file: Path) -> bool:
        """Reads, and notes what was there."""
        found = self.store.get(name, file)
        if found:
            self._note(name)
        return found

    def list(self, prefix: str) -> list[str]:
        """As the store."""
        return self.store.list(prefix)

    def delete(self, prefix: str) -> None:
        """As the store."""
        self.store.delete(prefix)

    def lock(self, name: str) -> Lock:
        """As the store."""
        return self.store.lock(name)

    def _note(self, name: str) -> None:
        self.store.put(f"runs/{self.run}/{name}", Path(os.devnull))


def open_store(checkpoints: str) -> Noted:
    """The store at a folder or URI, for this pipeline run."""
    return Noted(storage.checkpoint_store(checkpoints), kfp_run_id())


def forget(checkpoints: str) -> None:
    """Removes the checkpoints that this pipeline run used."""
    noted = open_store(checkpoints)
    notes = f"runs/{noted.run}/"
    for name in noted.list(notes):
        noted.delete(name.removeprefix(notes))
    noted.delete(notes)
