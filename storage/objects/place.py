"""A place on an object store, and the requests about it that source and store share."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TypeVar

import pyarrow.fs as pafs

from finest.patience import patiently
from storage.objects.errors import NoContainerError, Service, explained, passing

T = TypeVar("T")


@dataclass(frozen=True)
class Place:
    """An object, or what objects' names start with, of a bucket (or container); '' is the whole bucket."""

    uri: str
    service: Service
    filesystem: pafs.FileSystem
    """Reads and writes `BUCKET/KEY`."""
    endpoint: str
    """The server's URL, without credentials."""
    container: str
    key: str
    """Without a slash at its end."""

    @property
    def path(self) -> str:
        """As the file system names it."""
        return f"{self.container}/{self.key}".rstrip("/")

    def explained(self) -> AbstractContextManager[None]:
        """Makes one line of what pyarrow raises about this place."""
        return explained(self.service, self.uri, self.container, self.endpoint)

    def ask(self, call: Callable[[], T]) -> T:
        """Returns what a request returns, once the server is there."""
        return patiently(f"{self.service.name} at {self.endpoint}", call, self.passing)

    def passing(self, error: BaseException) -> str | None:
        """Returns in words why an error may be gone in a minute; None for one that will not."""
        return passing(self.service, error)

    def is_missing(self, error: BaseException) -> bool:
        """Tells whether an error says that there is no such object; pyarrow raises it as this or as that."""
        fault = self.service.diagnose(error)
        return isinstance(error, FileNotFoundError) or (fault is not None and fault.kind == "missing")

    def is_replaced(self, error: BaseException) -> bool:
        """Tells whether an error says that an object is not the one any more that was opened."""
        fault = self.service.diagnose(error)
        return fault is not None and fault.kind == "replaced"

    def files(self) -> list[pafs.FileInfo]:
        """Returns the objects below this place, at any depth. Raises NoContainerError."""
        below = pafs.FileSelector(self.path, recursive=True, allow_not_found=True)
        found = self.ask(lambda: self.filesystem.get_file_info(below))
        if not found:
            self._require_container()
        return [info for info in found if info.type == pafs.FileType.File]

    def _require_container(self) -> None:
        """Raises NoContainerError where the bucket is missing: a listing of what is not there is empty too."""
        try:
            info = self.ask(lambda: self.filesystem.get_file_info(self.container))
        except PermissionError:  # who may use objects need not be allowed to look at their bucket
            return
        if info.type == pafs.FileType.NotFound:
            raise NoContainerError(self.container)
