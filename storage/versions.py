"""Stores where nothing can be locked: every writer writes versions of its own, and the newest one counts."""

import logging
import os
import secrets
import socket
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from finest.errors import DamagedError, FinestError

logger = logging.getLogger(__name__)

READS = 5
"""Number of times that a read begins anew because a writer has replaced what was listed."""


class Version(Protocol):
    """Describes one writer's version of a blob. Versions are ordered, and the greatest is the newest."""

    @property
    def number(self) -> int:
        """Number that the writer counted up to."""

    @property
    def writer(self) -> str:
        """Name of the process that wrote it."""

    @property
    def name(self) -> str:
        """Name of the blob."""

    @property
    def whole(self) -> bool:
        """Whether all of it is there: a writer may still be at it, or have been killed."""


V = TypeVar("V", bound=Version)


class VersionedStore(ABC, Generic[V]):
    """Keeps blobs as versions of their writers. It is a finest.training.store.Store.

    A writer puts its next version above all that it sees and removes its own older ones, never another's: two that
    train the same (one of them thought dead) lose no more than progress, and any version continues the same training.
    `delete` removes them all.
    """

    uri: str
    """URI of the place, which is all that a pickled store is: each process finds its credentials itself."""

    def put(self, name: str, file: Path) -> None:
        """Uploads `file` as the newest version."""
        me = writer(os.getpid())
        with self._explained():
            there = [*self._versions_of(name)]
            self._upload(name, 1 + max((version.number for version in there), default=0), me, file)
            self._remove([version for version in there if version.writer == me])

    def get(self, name: str, file: Path) -> bool:
        """Downloads the newest version to `file`, whole or not at all; returns False where there is none.

        A damaged version is removed, and the one before it, if there is one, is the newest.
        """
        with self._explained():
            for _ in range(READS):
                whole = (version for version in self._versions_of(name) if version.whole)
                newest = max(whole, key=lambda version: (version.number, version.writer), default=None)
                if newest is None:
                    return False
                try:
                    if self._download(newest, file):
                        return True
                except DamagedError as error:
                    logger.warning("%s; it is removed", error)
                    self._remove([newest])
        raise FinestError(
            f"{self.uri}: {name} was replaced {READS} times while it was read; two runs train the same at once"
        )

    def list(self, prefix: str) -> list[str]:
        """Returns the names that start with `prefix`, sorted."""
        with self._explained():
            return sorted({version.name for version in self._versions(prefix) if version.whole})

    def delete(self, prefix: str) -> None:
        """Removes all versions, by whomever, of names that start with `prefix`."""
        with self._explained():
            self._remove([*self._versions(prefix)])

    def lock(self, name: str) -> nullcontext[None]:
        """Returns a lock that locks nothing: versions by writer stand in for it."""
        return nullcontext()

    @abstractmethod
    def _explained(self) -> AbstractContextManager[None]:
        """Makes one line of what the server and its library raise."""

    @abstractmethod
    def _listed(self, prefix: str) -> Iterable[V]:
        """Lists the versions whose objects' names start with `prefix`, and maybe more."""

    @abstractmethod
    def _upload(self, name: str, number: int, writer: str, file: Path) -> None:
        """Uploads `file` as that version of the blob `name`."""

    @abstractmethod
    def _download(self, version: V, file: Path) -> bool:
        """Downloads a version. Returns False where it is gone by now: its writer has put the next one.

        Raises:
            DamagedError: What came is not what was uploaded.
        """

    @abstractmethod
    def _remove(self, versions: Sequence[V]) -> None:
        """Removes versions; one that is gone by now is fine."""

    def _versions_of(self, name: str) -> Iterator[V]:
        return (version for version in self._listed(f"{name}/") if version.name == name)

    def _versions(self, prefix: str) -> Iterator[V]:
        return (version for version in self._listed(prefix) if version.name.startswith(prefix))


@cache
def writer(process: int) -> str:
    """Returns the name of this process among all writers, on all machines."""
    return f"{socket.gethostname()}-{process}-{secrets.token_hex(4)}"
