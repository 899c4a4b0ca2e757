"""A store for checkpoints on S3."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from finest.errors import FinestError
from storage.s3.errors import said
from storage.s3.prefix import Prefix
from storage.s3.transfer import upload
from storage.versions import VersionedStore

MOST_DELETED = 1000
"""Number of objects that one request may delete."""


class Version(NamedTuple):
    """One writer's version of a blob."""

    number: int
    writer: str
    name: str
    whole: bool = True
    """Always: an object is complete from the moment that it is listed."""

    @property
    def key(self) -> str:
        """Returns the object's key below the store's place."""
        return f"{self.name}/{self.number:012d}-{self.writer}"


class S3Store(Prefix, VersionedStore[Version]):
    """Keeps blobs below an s3:// prefix. It is a finest.training.store.Store.

    A blob `name` is the objects `name/<number>-<writer>`.
    """

    def _listed(self, prefix: str) -> Iterator[Version]:
        folder = self._place.folder
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self._place.bucket, Prefix=folder + prefix
        )
        for entry in (entry for page in pages for entry in page.get("Contents", ())):
            name, _, version = entry["Key"].removeprefix(folder).rpartition("/")
            number, dash, by = version.partition("-")
            if dash and number.isdecimal():
                yield Version(int(number), by, name)

    def _upload(self, name: str, number: int, writer: str, file: Path) -> None:
        upload(self._client, file, self._place.below(Version(number, writer, name).key))

    def _download(self, version: Version, file: Path) -> bool:
        return self._fetched(version.key, file)

    def _remove(self, versions: Sequence[Version]) -> None:
        for first in range(0, len(versions), MOST_DELETED):
            objects = [
                {"Key": self._place.below(version.key).key} for version in versions[first : first + MOST_DELETED]
            ]
            answer = self._client.delete_objects(Bucket=self._place.bucket, Delete={"Objects": objects, "Quiet": True})
            for failed in answer.get("Errors", ()):
                raise FinestError(said(self.uri, self._connection.endpoint, failed["Code"], "DeleteObjects"))
