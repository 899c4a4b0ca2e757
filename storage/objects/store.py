"""A store for checkpoints on an object store that pyarrow speaks to."""

import hashlib
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import NamedTuple

from finest import atomic
from finest.errors import DamagedError
from storage.objects.errors import RAISED
from storage.objects.place import Place
from storage.versions import VersionedStore

CHUNK = 16 << 20
"""Bytes that are sent or read at once."""
KEY = re.compile(r"(.+)@(\d+)-(\d+)-([^-]*)-(.+)")
"""Pattern of an object's name: the blob's, the number, the size, the digest, and the writer."""


class Version(NamedTuple):
    """One writer's version of a blob."""

    number: int
    writer: str
    size: int
    """In bytes, as the whole blob has it."""
    sha256: str
    name: str
    stored: int = 0
    """Size of the object in bytes; it is shorter while it is being written, or if its writer was killed."""

    @property
    def key(self) -> str:
        """Returns the object's name below the store's place."""
        return f"{_flat(self.name)}@{self.number:012d}-{self.size}-{self.sha256}-{self.writer}"

    @classmethod
    def of(cls, key: str, stored: int) -> "Version | None":
        """Returns the version that an object's name tells of; None where the object is none of a store's."""
        if not (found := KEY.fullmatch(key)):
            return None
        name, number, size, sha256, writer = found.groups()
        return cls(int(number), writer, int(size), sha256, name.replace("=2F", "/").replace("=3D", "="), stored)

    @property
    def whole(self) -> bool:
        """Whether all of it is there."""
        return self.stored == self.size


@dataclass(frozen=True)
class ObjectStore(VersionedStore[Version]):
    """Keeps blobs below a prefix of a bucket. It is a finest.training.store.Store.

    A blob `name` is the objects `name@<number>-<size>-<sha256>-<writer>`; one that has not its size is none yet.
    All lie in one folder, since Azure leaves an empty one behind for good: slashes of a name are written `=2F`.
    """

    uri: str
    find: Callable[[str], Place]
    """Parses the URI and connects."""

    def __reduce__(self) -> tuple[type["ObjectStore"], tuple[str, Callable[[str], Place]]]:
        """Leaves the connection behind."""
        return ObjectStore, (self.uri, self.find)

    def _explained(self) -> AbstractContextManager[None]:
        return self._place.explained()

    def _listed(self, prefix: str) -> Iterator[Version]:
        for info in self._place.files():
            if version := Version.of(info.path.removeprefix(f"{self._place.path}/"), info.size):
                yield version

    def _upload(self, name: str, number: int, writer: str, file: Path) -> None:
        with file.open("rb") as content:
            sha256 = hashlib.file_digest(content, "sha256").hexdigest()
            size = content.tell()
        self._place.ask(partial(self._send, file, Version(number, writer, size, sha256, name).key))

    def _send(self, file: Path, key: str) -> None:
        path = f"{self._place.path}/{key}"
        with file.open("rb") as content, self._place.filesystem.open_output_stream(path) as target:
            shutil.copyfileobj(content, target, CHUNK)

    def _download(self, version: Version, file: Path) -> bool:
        try:
            self._place.ask(partial(self._fetch, version, file))
        except RAISED as error:
            if not (self._place.is_missing(error) or self._place.is_replaced(error)):
                raise
            return False
        return True

    def _fetch(self, version: Version, file: Path) -> None:
        path = f"{self._place.path}/{version.key}"
        with atomic.file(file) as unfinished:
            with self._place.filesystem.open_input_stream(path) as source, unfinished.open("wb") as target:
                shutil.copyfileobj(source, target, CHUNK)
            with unfinished.open("rb") as content:
                found = hashlib.file_digest(content, "sha256").hexdigest()
            if found != version.sha256:
                raise DamagedError(f"{self.uri}: {version.key} is damaged: what was read has sha256 {found}")

    def _remove(self, versions: Sequence[Version]) -> None:
        for version in versions:
            path = f"{self._place.path}/{version.key}"
            try:
                self._place.ask(partial(self._place.filesystem.delete_file, path))
            except RAISED as error:
                if not self._place.is_missing(error):  # another has removed it
                    raise

    @cached_property
    def _place(self) -> Place:
        return self.find(self.uri)


def _flat(name: str) -> str:
    return name.replace("=", "=3D").replace("/", "=2F")
