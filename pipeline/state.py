"""Holds the one folder that local runs write to."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import filelock

from finest.errors import FinestError
from tracking.store import state_folder


@dataclass(frozen=True)
class State:
    """Names what is in the state folder, but for `mlflow/`, which belongs to tracking."""

    root: Path

    @property
    def checkpoints(self) -> Path:
        """Returns the folder of trainings that can be resumed."""
        return self.root / "checkpoints"

    def new_run(self) -> Path:
        """Makes a new folder for one run; its name is the run's id, and sorts by time."""
        folder = self.root / "runs" / f"{datetime.now():%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
        folder.mkdir(parents=True)
        return folder

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Holds the state for one run; the system lets go of it however the process ends.

        Raises FinestError where it is held.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        path = self.root / "run.lock"
        try:
            lock = filelock.FileLock(path).acquire(blocking=False)
        except filelock.Timeout:
            holder = path.read_text().strip() or "unknown"
            raise FinestError(
                f"{self.root}: another run is using this state (process {holder}); wait for it, or use another folder "
                "with --state"
            ) from None
        with lock:
            path.write_text(str(os.getpid()))
            yield


def use(folder: Path | None) -> State:
    """Returns the state in `folder`, else where FINEST_STATE or the default says.

    Every part of this process, and its children, sees it there from now on.
    """
    root = folder.absolute() if folder else state_folder()
    os.environ["FINEST_STATE"] = str(root)
    return State(root)
