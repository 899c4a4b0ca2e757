"""A place for files of lists on an object store that pyarrow speaks to."""

import secrets
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

from finest import atomic
from storage.objects.errors import RAISED
from storage.objects.place import Place
from storage.objects.store import CHUNK
from storage.versions import READS


@dataclass(frozen=True)
class ObjectOutput:
    """Keeps files below a prefix of a bucket, each an object of its own name. It is a finest.serving.place.Place.

    A stream that is cut off may leave a part of an object, so a file goes to another name first, and the server copies
    it to its own.
    """

    uri: str
    find: Callable[[str], Place]
    """Parses the URI and connects."""

    def __reduce__(self) -> tuple[type["ObjectOutput"], tuple[str, Callable[[str], Place]]]:
        """Leaves the connection behind."""
        return ObjectOutput, (self.uri, self.find)

    def put(self, name: str, file: Path) -> None:
        """Uploads `file`."""
        with self._place.explained():
            self._place.ask(partial(self._send, name, file))

    def get(self, name: str, file: Path) -> bool:
        """Downloads to `file`, whole or not at all; returns False where there is nothing."""
        with self._place.explained():
            for attempt in range(READS):
                try:
                    self._place.ask(partial(self._fetch, name, file))
                    return True
                except RAISED as error:
                    if self._place.is_missing(error):
                        return False
                    if not self._place.is_replaced(error) or attempt == READS - 1:
                        raise
        raise AssertionError("the last turn returns or raises")

    def delete(self, name: str) -> None:
        """Removes an object."""
        with self._place.explained():
            self._place.ask(partial(self._remove, self._path(name)))

    def _send(self, name: str, file: Path) -> None:
        folder, _, last = self._path(name).rpartition("/")
        partial_path = f"{folder}/_{last}{atomic.PARTIAL}{secrets.token_hex(8)}"
        filesystem = self._place.filesystem
        try:
            with file.open("rb") as content, filesystem.open_output_stream(partial_path) as target:
                shutil.copyfileobj(content, target, CHUNK)
            filesystem.copy_file(partial_path, self._path(name))
        finally:
            self._remove(partial_path)

    def _fetch(self, name: str, file: Path) -> None:
        with (
            atomic.file(file) as unfinished,
            self._place.filesystem.open_input_stream(self._path(name)) as source,
            unfinished.open("wb") as target,
        ):
            shutil.copyfileobj(source, target, CHUNK)

    def _remove(self, path: str) -> None:
        try:
            self._place.filesystem.delete_file(path)
        except RAISED as error:
            if not self._place.is_missing(error):
                raise

    def _path(self, name: str) -> str:
        return f"{self._place.path}/{name}"

    @cached_property
    def _place(self) -> Place:
        return self.find(self.uri)
