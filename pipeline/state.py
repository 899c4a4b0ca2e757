"""Holds the one folder that local runs write to."""

import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import filelock

from finest.atomic import PARTIAL
from finest.errors import FinestError
from tracking.embedded import ODD, file_of
from tracking.store import state_folder, uri

SCRATCH = ("kfp", "tmp")
"""Folders of a run that nothing needs once its process is gone: what kfp hands from step to step, temporary files."""
RUN_NAME = re.compile(r"\d{8}-\d{6}-[0-9a-f]{4}")
"""What the names of runs look like."""
LONGEST = 60
"""Number of bytes of the longest folder in which processes put sockets: they add up to 40, and the system takes 107."""
NOTES = "runs"
"""Folder of the notes, beside the checkpoints of a line, of which checkpoints a run used."""


class BusyError(FinestError):
    """A run is using the state."""


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
        (folder / "tmp").mkdir(parents=True)
        return folder

    def runs(self) -> list[Path]:
        """Returns the folders of all runs, newest first."""
        there = (self.root / "runs").iterdir() if (self.root / "runs").is_dir() else ()
        return sorted((one for one in there if one.is_dir() and RUN_NAME.fullmatch(one.name)), reverse=True)

    def left(self) -> list[Path]:
        """Returns what killed runs have left, where no run is going on: whoever asks holds the lock.

        That is what steps handed on, temporary files, what was being written, and notes of checkpoints that are gone.
        Checkpoints themselves are no such thing: the same command goes on from them.
        """
        scratch = [run / name for run in self.runs() for name in SCRATCH if (run / name).exists()]
        trees = [self.root / "runs", self.checkpoints]
        half = [path for tree in trees if tree.is_dir() for path in sorted(tree.rglob(f"*{PARTIAL}*"))]
        within = {path for path in half if not {*path.parents} & {*scratch, *half}}
        return [*scratch, *sorted(within), *(note for note, about in self.notes() if not about.exists())]

    def notes(self) -> list[tuple[Path, Path]]:
        """Returns every note of a run, and the checkpoint that it is about."""
        found = []
        for line in [self.checkpoints, *self.checkpoints.glob("*/")]:
            for run in (line / NOTES).glob("*/"):
                if RUN_NAME.fullmatch(run.name):
                    notes = (path for path in sorted(run.rglob("*")) if path.is_file() and PARTIAL not in str(path))
                    found += [(path, line / path.relative_to(run)) for path in notes]
        return found

    def clear(self) -> int:
        """Removes what killed runs have left, and returns its bytes; for whoever holds the lock."""
        left = self.left()
        taken = sum(size(path) for path in left)
        for path in left:
            remove(path)
        for notes in [self.checkpoints / NOTES, *self.checkpoints.glob(f"*/{NOTES}/")]:
            _remove_empty(notes)
        return taken

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Holds the state for one run; the system lets go of it however the process ends.

        Raises FinestError where it is held.
        """
        path = self.root / "run.lock"
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            lock = filelock.FileLock(path).acquire(blocking=False)
        except filelock.Timeout:
            holder = path.read_text().strip() or "unknown"
            raise BusyError(
                f"{self.root}: another run is using this state (process {holder}); wait for it, or use another folder "
                "with --state"
            ) from None
        except OSError as error:
            raise FinestError(_unusable(self.root, error)) from error
        with lock:
            path.write_text(str(os.getpid()))
            yield


@contextmanager
def temporary(folder: Path) -> Iterator[str]:
    """Yields the name of a run's folder of temporary files that its processes are given.

    It is a short one, by our open descriptor, where MLflow would take the folder's own for a URI, or sockets in it
    would be too long.
    """
    place, descriptors = folder / "tmp", Path(f"/proc/{os.getpid()}/fd")
    if not descriptors.is_dir() or not (ODD.search(str(place)) or len(os.fsencode(place)) > LONGEST):
        yield str(place)
        return
    number = os.open(place, os.O_RDONLY)
    try:
        yield str(descriptors / str(number))
    finally:
        os.close(number)


def use(folder: Path | None) -> State:
    """Returns the state in `folder`, else where FINEST_STATE or the default says.

    Every part of this process, and its children, sees it there from now on.
    """
    root = folder.absolute() if folder else state_folder()
    os.environ["FINEST_STATE"] = str(root)
    return State(root)


def existing(folder: Path | None) -> State:
    """Returns the state in `folder`, as `use` does, for commands that make nothing.

    Raises FinestError where nothing is there, neither a state nor a server that would be asked instead.
    """
    state, file = use(folder), file_of(uri())
    try:
        there = file is None or file.exists()
    except OSError as error:
        raise FinestError(_unusable(state.root, error)) from error
    if not there:
        raise FinestError(f"{file}: there is no such database, so no run yet; name a state folder with --state")
    return state


def _unusable(root: Path, error: OSError) -> str:
    nearest = next(parent for parent in [root, *root.parents] if len(parent.name) < 256 and parent.exists())
    why = error.strerror or str(error)
    if not nearest.is_dir():
        why = "it is a file" if nearest == root else f"{nearest} is a file"
    return f"{root}: this state folder cannot be used ({why}); give one that can be written with --state"


def size(path: Path) -> int:
    """Returns the bytes of a file, or of all files in a folder."""
    files = [path] if path.is_file() else (one for one in path.rglob("*") if one.is_file() and not one.is_symlink())
    total = 0
    for one in files:
        with suppress(FileNotFoundError):  # another process is at work
            total += one.stat().st_size
    return total


def remove(path: Path) -> None:
    """Removes a file, or a folder with all that is in it."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _remove_empty(folder: Path) -> None:
    """Removes folders that hold nothing, the given one included."""
    for inner, _, _ in os.walk(folder, topdown=False):
        with suppress(OSError):  # it holds something
            Path(inner).rmdir()
