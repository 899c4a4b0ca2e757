"""A store for checkpoints on S3, where nothing can be locked: every writer writes versions of its own."""

import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from botocore.exceptions import ClientError

from finest.errors import FinestError
from storage.s3.connection import Connection
from storage.s3.errors import MISSING, explained, said
from storage.s3.place import Place, parse
from storage.s3.transfer import download, upload
from storage.versions import READS, writer

MOST_DELETED = 1000
"""Number of objects that one request may delete."""


class Version(NamedTuple):
    """One writer's version of a blob; the greatest is the newest."""

    number: int
    writer: str
    name: str

    @property
    def key(self) -> str:
        """Returns the object's key below the store's place."""
        return f"{self.name}/{self.number:012d}-{self.writer}"


@dataclass(frozen=True)
class S3Store:
    """Keeps blobs below an s3:// prefix. It is a finest.training.store.Store.

    A blob `name` is the objects `name/<number>-<writer>`, complete from the moment that they are listed. A writer puts its
    next version above all that it sees and removes its own older ones, never another's: two that train the same (one of
    them thought dead) lose no more than progress, and any version continues the same training. `delete` removes them all.

    Pickled, it is its URI: each process finds its credentials itself.
    """

    uri: str

    def put(self, name: str, file: Path) -> None:
        """Uploads `file` as the newest version."""
        me = writer(os.getpid())
        with self._explained():
            there = self._versions_of(name)
            next_ = Version(1 + max((version.number for version in there), default=0), me, name)
            upload(self._client, file, self._place.below(next_.key))
            self._remove([version for version in there if version.writer == me])

    def get(self, name: str, file: Path) -> bool:
        """Downloads the newest version. Returns False where there is none."""
        with self._explained():
            for _ in range(READS):
                newest = max(self._versions_of(name), default=None)
                if newest is None:
                    return False
                try:
                    download(self._client, self._place.below(newest.key), file)
                    return True
                except ClientError as error:
                    if error.response["Error"]["Code"] not in MISSING:
                        raise
        raise FinestError(
            f"{self.uri}: {name} was replaced {READS} times while it was read; two runs train the same at once"
        )

    def list(self, prefix: str) -> list[str]:
        """Returns the names that start with `prefix`, sorted."""
        with self._explained():
            return sorted({version.name for version in self._versions(prefix) if version.name.startswith(prefix)})

    def delete(self, prefix: str) -> None:
        """Removes all versions, by whomever, of names that start with `prefix`."""
        with self._explained():
            self._remove([version for version in self._versions(prefix) if version.name.startswith(prefix)])

    def lock(self, name: str) -> nullcontext[None]:
        """Returns a lock that locks nothing: versions by writer stand in for it."""
        return nullcontext()

    def __reduce__(self) -> tuple[type["S3Store"], tuple[str]]:
        """Leaves the connection behind."""
        return S3Store, (self.uri,)

    def _versions_of(self, name: str) -> Sequence[Version]:
        return [version for version in self._versions(f"{name}/") if version.name == name]

    def _versions(self, prefix: str) -> Iterator[Version]:
        folder = self._place.folder
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self._place.bucket, Prefix=folder + prefix
        )
        for entry in (entry for page in pages for entry in page.get("Contents", ())):
            name, _, version = entry["Key"].removeprefix(folder).rpartition("/")
            number, dash, by = version.partition("-")
            if dash and number.isdecimal():
                yield Version(int(number), by, name)

    def _remove(self, versions: Sequence[Version]) -> None:
        for first in range(0, len(versions), MOST_DELETED):
            objects = [
                {"Key": self._place.below(version.key).key} for version in versions[first : first + MOST_DELETED]
            ]
            answer = self._client.delete_objects(Bucket=self._place.bucket, Delete={"Objects": objects, "Quiet": True})
            for failed in answer.get("Errors", ()):
                raise FinestError(said(self.uri, self._connection.endpoint, failed["Code"], "DeleteObjects"))

    def _explained(self) -> AbstractContextManager[None]:
        with explained(self.uri):
            endpoint = self._connection.endpoint
        return explained(self.uri, endpoint)

    @cached_property
    def _connection(self) -> Connection:
        return Connection()

    @cached_property
    def _place(self) -> Place:
        return parse(self.uri)

    @property
    def _client(self) -> Any:
        return self._connection.client
