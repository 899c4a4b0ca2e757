"""gs://bucket/prefix: Google Cloud Storage."""

from storage.objects import gcs
from storage.objects import source as objects
from storage.objects.output import ObjectOutput
from storage.objects.store import ObjectStore
from storage.registry import CHECKPOINTS, OUTPUTS, SOURCES
from storage.source import Source


@SOURCES.register("gs")
def source(uri: str) -> Source:
    """Returns the files of a bucket, below a prefix or in whole."""
    return objects.resolve(gcs.place(uri))


@CHECKPOINTS.register("gs")
def checkpoints(uri: str) -> ObjectStore:
    """Returns the store below a prefix of a bucket."""
    return ObjectStore(uri, gcs.place)


@OUTPUTS.register("gs")
def output(uri: str) -> ObjectOutput:
    """Returns the place below a prefix of a bucket."""
    return ObjectOutput(uri, gcs.place)
