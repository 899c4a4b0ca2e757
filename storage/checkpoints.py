"""Places for checkpoints."""

import fcntl
import logging
import os
import secrets
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO
from urllib.parse import unquote, urlsplit

from finest.errors import ConfigError, FinestError
from finest.training.store import Store

LOG = logging.getLogger(__name__)

LOCKS = "locks"
PARTIAL = ".partial-"


def checkpoint_store(uri: str | Path) -> Store:
    """The store at a local path, a file:// URI or s3://bucket/prefix; a folder is made on the first write. Raises ConfigError."""
    parts = urlsplit(str(uri))
    if not str(uri):
        raise ConfigError("no place for checkpoints is given; set `checkpoints` to a folder or to s3://BUCKET/PREFIX")
    if str(uri).startswith("s3://"):
        from storage.s3.store import S3Store  # boto3 is for those who use it

        return S3Store(str(uri))
    if "://" in str(uri) and parts.scheme != "file":
        raise ConfigError(
            f"{uri}: unknown kind of place for checkpoints {parts.scheme}://; known are a path, file:// and s3://"
        )
    path = unquote(parts.path) if str(uri).startswith("file://") else str(uri)
    return FolderStore(Path(path).expanduser().absolute())


def probe(uri: str | Path) -> None:
    """Does there what a run will: writes, reads and removes. Raises the error that the run would end with hours later."""
    store, name = checkpoint_store(uri), f"probe/{secrets.token_hex(8)}"
    with tempfile.TemporaryDirectory() as folder:
        file, back = Path(folder) / "probe", Path(folder) / "back"
        file.write_text(name)
        store.put(name, file)
        if not store.get(name, back) or back.read_text() != name or store.list(name) != [name]:
            raise FinestError(
                f"{uri}: what was written there is not there; checkpoints need a place that keeps what it takes"
            )
    store.delete(name)


@dataclass(frozen=True)
class FolderStore:
    """finest.training.store.Store in a folder: a blob is a file, named by its path below the folder."""

    folder: Path

    def put(self, name: str, file: Path) -> None:
        """Copies `file` to `name`; a reader sees the old blob or the new one, never a part, and a crash leaves the old one."""
        target = self.folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=target.parent, prefix=target.name + PARTIAL, delete=False) as partial:
            try:
                with file.open("rb") as source:
                    shutil.copyfileobj(source, partial)
                partial.flush()
                os.fsync(partial.fileno())
                Path(partial.name).replace(target)
            except BaseException:
                Path(partial.name).unlink(missing_ok=True)
                raise

    def get(self, name: str, file: Path) -> bool:
        """Copies the blob to `file`; False where there is none."""
        try:
            shutil.copyfile(self.folder / name, file)
        except FileNotFoundError:
            if (self.folder / name).exists():  # it is `file`'s folder that is missing
                raise
            return False
        return True

    def list(self, prefix: str) -> list[str]:
        """Names that start with `prefix`, sorted."""
        return [name for name in self._names(prefix) if PARTIAL not in name]

    def delete(self, prefix: str) -> None:
        """Removes all names that start with `prefix`, what killed writers left of them, and folders that it leaves empty.

        Locks stay: others may wait for them.
        """
        for name in self._names(prefix):
            path = self.folder / name
            path.unlink(missing_ok=True)
            for parent in path.parents[: name.count("/")]:
                try:
                    parent.rmdir()
                except OSError:  # not empty
                    break

    def lock(self, name: str) -> "FolderLock":
        """Exclusive use of `name` among the processes of this machine; entering waits for it. The system frees it when its holder dies."""
        return FolderLock(self.folder / LOCKS / name.replace("/", "."))

    def _names(self, prefix: str) -> Sequence[str]:
        names = sorted(path.relative_to(self.folder).as_posix() for path in self.folder.rglob("*") if path.is_file())
        return [name for name in names if name.startswith(prefix) and not name.startswith(f"{LOCKS}/")]


@dataclass
class FolderLock:
    """A context manager around flock on a file, which stays: unlinking it would let two processes hold two files of one name."""

    path: Path
    _file: IO[bytes] | None = field(default=None, init=False, repr=False)

    def __enter__(self) -> "FolderLock":
        self.path.parent.mkdir(parents=True, exist_ok=True)
        file = self.path.open("ab")
        try:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                LOG.info("waiting for another process to release %s", self.path)
                fcntl.flock(file, fcntl.LOCK_EX)
        except BaseException:
            file.close()
            raise
        self._file = file
        return self

    def __exit__(self, *exception: object) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
