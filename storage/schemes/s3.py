"""s3://bucket/prefix: Amazon S3, and servers that speak like it."""

from collections.abc import Iterator
from contextlib import contextmanager

from finest.errors import ConfigError
from finest.serving.place import Place
from finest.training.store import Store
from storage.registry import CHECKPOINTS, OUTPUTS, SOURCES
from storage.source import Source


@SOURCES.register("s3")
def source(uri: str) -> Source:
    """Returns the files of a bucket, below a prefix or in whole."""
    with _boto3(uri):
        from storage.s3.source import resolve
    return resolve(uri)


@CHECKPOINTS.register("s3")
def checkpoints(uri: str) -> Store:
    """Returns the store below a prefix of a bucket."""
    with _boto3(uri):
        from storage.s3.store import S3Store
    return S3Store(uri)


@OUTPUTS.register("s3")
def output(uri: str) -> Place:
    """Returns the place below a prefix of a bucket."""
    with _boto3(uri):
        from storage.s3.output import S3Output
    return S3Output(uri)


@contextmanager
def _boto3(uri: str) -> Iterator[None]:
    """Says how to get boto3, which only those need who use S3."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("boto3", "botocore"):
            raise
        raise ConfigError(f"{uri}: S3 needs the package boto3; pip install 'finest[pipeline]'") from error
