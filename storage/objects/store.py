"""A store for checkpoints on an object store, where nothing can be locked: every writer writes versions of its own."""

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import NamedTuple

from finest import atomic
from finest.errors import FinestError
from storage.objects.place import Place
from storage.versions import READS, writer

CHUNK = 16 << 20
"""Bytes that are sent or read at once."""


class Version(NamedTuple):
    """One writer's version of a blob; the greatest is the newest."""

    number: int
    writer: str
    size: int
    """In bytes, as the whole blob has it: an object that is shorter is still being written, or its writer was killed."""
    sha256: str
    name: str

    @property
    def key(self) -> str:
        """Returns the object's name below the store's place."""
        return f"{self.name}/{self.number:012d}-{self.size}-{self.sha256}-{self.writer}"


@dataclass(frozen=True)
class ObjectStore:
    """Keeps blobs below a prefix of a bucket. It is a finest.training.store.Store.

    A blob `name` is the objects `name/<number>-<size>-<sha256>-<writer>`; one that has not its size is none yet. A writer
    puts its next version above all that it sees and removes its own older ones, never another's: two that train the same
    (one of them thought dead) lose no more than progress, and any version continues the same training. `delete` removes
    them all.

    Pickled, it is its URI: each process finds its credentials itself.
    """

    uri: str
    find: Callable[[str], Place]
    """Parses the URI and connects."""

    def put(self, name: str, file: Path) -> None:
        """Uploads `file` as the newest version."""
        me = writer(os.getpid())
        with file.open("rb") as content:
            sha256 = hashlib.file_digest(content, "sha256").hexdigest()
            size = content.tell()
        with self._place.explained():
            there = [version for version, _ in self._versions_of(name)]
            number = 1 + max((version.number for version in there), default=0)
            self._place.ask(partial(self._upload, file, Version(number, me, size, sha256, name)))
            self._remove([version for version in there if version.writer == me])

    def get(self, name: str, file: Path) -> bool:
        """Downloads the newest version to `file`, which appears whole or not at all. Returns False where there is none."""
        with self._place.explained():
            for _ in range(READS):
                newest = max((version for version, whole in self._versions_of(name) if whole), default=None)
                if newest is None:
                    return False
                with suppress(FileNotFoundError):  # its writer has put the next one
                    self._place.ask(partial(self._download, newest, file))
                    return True
        raise FinestError(
            f"{self.uri}: {name} was replaced {READS} times while it was read; two runs train the same at once"
        )

    def list(self, prefix: str) -> list[str]:
        """Returns the names that start with `prefix`, sorted."""
        with self._place.explained():
            return sorted({version.name for version, whole in self._versions(prefix) if whole})

    def delete(self, prefix: str) -> None:
        """Removes all versions, by whomever, of names that start with `prefix`."""
        with self._place.explained():
            self._remove([version for version, _ in self._versions(prefix)])

    def lock(self, name: str) -> nullcontext[None]:
        """Returns a lock that locks nothing: versions by writer stand in for it."""
        return nullcontext()

    def __reduce__(self) -> tuple[type["ObjectStore"], tuple[str, Callable[[str], Place]]]:
        """Leaves the connection behind."""
        return ObjectStore, (self.uri, self.find)

    def _versions_of(self, name: str) -> Iterator[tuple[Version, bool]]:
        return ((version, whole) for version, whole in self._below(name) if version.name == name)

    def _versions(self, prefix: str) -> Iterator[tuple[Version, bool]]:
        found = self._below(prefix.rpartition("/")[0])
        return ((version, whole) for version, whole in found if version.name.startswith(prefix))

    def _below(self, folder: str) -> Iterator[tuple[Version, bool]]:
        """Yields the versions of all names in a folder, and whether they are whole."""
        for info in self._place.files(folder):
            name, _, version = info.path.removeprefix(f"{self._place.path}/").rpartition("/")
            number, size, sha256, by = [*version.split("-", 3), "", "", ""][:4]
            if by and number.isdecimal() and size.isdecimal():
                yield Version(int(number), by, int(size), sha256, name), info.size == int(size)

    def _upload(self, file: Path, version: Version) -> None:
        path = f"{self._place.path}/{version.key}"
        with file.open("rb") as content, self._place.filesystem.open_output_stream(path) as target:
            shutil.copyfileobj(content, target, CHUNK)

    def _download(self, version: Version, file: Path) -> None:
        path = f"{self._place.path}/{version.key}"
        with atomic.file(file) as unfinished:
            with self._place.filesystem.open_input_stream(path) as source, unfinished.open("wb") as target:
                shutil.copyfileobj(source, target, CHUNK)
            with unfinished.open("rb") as content:
                found = hashlib.file_digest(content, "sha256").hexdigest()
            if found != version.sha256:
                raise FinestError(
                    f"{self.uri}: {version.key}: what was read has sha256 {found}; run again, or delete the object"
                )

    def _remove(self, versions: Sequence[Version]) -> None:
        for version in versions:
            path = f"{self._place.path}/{version.key}"
            with suppress(FileNotFoundError):  # another has removed it
                self._place.ask(partial(self._place.filesystem.delete_file, path))

    @cached_property
    def _place(self) -> Place:
        return self.find(self.uri)
