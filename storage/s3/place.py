"""Names of places on S3."""

import re
from typing import NamedTuple

from finest.errors import ConfigError

SCHEME = "s3"
BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")


class Place(NamedTuple):
    """A bucket and a key in it, or the start of keys; '' is the whole bucket."""

    bucket: str
    key: str

    @property
    def uri(self) -> str:
        """As it is given."""
        return f"{SCHEME}://{self.bucket}/{self.key}"

    @property
    def folder(self) -> str:
        """What the keys below this place start with."""
        return f"{self.key.rstrip('/')}/" if self.key else ""

    def below(self, name: str) -> "Place":
        """A place in this folder."""
        return Place(self.bucket, self.folder + name)


def parse(uri: str) -> Place:
    """The place at `s3://bucket/key`; keys are taken as they are, without percent-encoding. Raises ConfigError.

    Its message holds no part of a name that is none: it may be a key and its secret.
    """
    bucket, _, key = uri.removeprefix(f"{SCHEME}://").partition("/")
    if not BUCKET.fullmatch(bucket):
        raise ConfigError(
            "s3://...: that is no name of a bucket; write s3://BUCKET/PREFIX, and give credentials and a server of "
            "your own by environment variables (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_ENDPOINT_URL)"
        )
    return Place(bucket, key)
