"""What all that lies below an s3:// prefix is reached by."""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from botocore.exceptions import ClientError

from storage.s3.connection import Connection
from storage.s3.errors import MISSING, explained
from storage.s3.place import Place, parse
from storage.s3.transfer import download


@dataclass(frozen=True)
class Prefix:
    """Connects to the objects below a prefix, when it is first needed."""

    uri: str

    def __reduce__(self) -> tuple[type[Self], tuple[str]]:
        """Leaves the connection behind."""
        return type(self), (self.uri,)

    def _fetched(self, key: str, file: Path) -> bool:
        """Downloads an object to `file`, whole or not at all; returns False where there is none."""
        try:
            download(self._client, self._place.below(key), file)
        except ClientError as error:
            if error.response["Error"]["Code"] not in MISSING:
                raise
            return False
        return True

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
