"""A place for files of lists on S3."""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from storage.s3.connection import Connection
from storage.s3.errors import MISSING, explained
from storage.s3.place import Place, parse
from storage.s3.transfer import download, upload


@dataclass(frozen=True)
class S3Output:
    """Keeps files below an s3:// prefix, each an object of its own name. It is a finest.serving.place.Place."""

    uri: str

    def __reduce__(self) -> tuple[type["S3Output"], tuple[str]]:
        """Leaves the connection behind."""
        return S3Output, (self.uri,)

    def put(self, name: str, file: Path) -> None:
        """Uploads `file`."""
        with self._explained():
            upload(self._client, file, self._place.below(name))

    def get(self, name: str, file: Path) -> bool:
        """Downloads to `file`, whole or not at all; returns False where there is nothing."""
        with self._explained():
            try:
                download(self._client, self._place.below(name), file)
            except ClientError as error:
                if error.response["Error"]["Code"] not in MISSING:
                    raise
                return False
        return True

    def delete(self, name: str) -> None:
        """Removes an object."""
        with self._explained():
            self._client.delete_object(Bucket=self._place.bucket, Key=self._place.below(name).key)

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
