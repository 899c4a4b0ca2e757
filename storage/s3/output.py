"""A place for files of lists on S3."""

from pathlib import Path

from storage.s3.prefix import Prefix
from storage.s3.transfer import upload


class S3Output(Prefix):
    """Keeps files below an s3:// prefix, each an object of its own name. It is a finest.serving.place.Place."""

    def put(self, name: str, file: Path) -> None:
        """Uploads `file`."""
        with self._explained():
            upload(self._client, file, self._place.below(name))

    def get(self, name: str, file: Path) -> bool:
        """Downloads to `file`, whole or not at all; returns False where there is nothing."""
        with self._explained():
            return self._fetched(name, file)

    def delete(self, name: str) -> None:
        """Removes an object."""
        with self._explained():
            self._client.delete_object(Bucket=self._place.bucket, Key=self._place.below(name).key)
