"""Azure Blob Storage: abfs://container@account.dfs.core.windows.net/path, or abfs://container/path, and as abfss://.

Both schemes mean the same: whether a connection is encrypted is the endpoint's matter, and Azure's own are.
"""

from storage.objects import azure
from storage.objects import source as objects
from storage.objects.output import ObjectOutput
from storage.objects.store import ObjectStore
from storage.registry import CHECKPOINTS, OUTPUTS, SOURCES
from storage.source import Source


@SOURCES.register("abfs")
@SOURCES.register("abfss")
def source(uri: str) -> Source:
    """Returns the files of a container, below a path or in whole."""
    return objects.resolve(azure.place(uri))


@CHECKPOINTS.register("abfs")
@CHECKPOINTS.register("abfss")
def checkpoints(uri: str) -> ObjectStore:
    """Returns the store below a path of a container."""
    return ObjectStore(uri, azure.place)


@OUTPUTS.register("abfs")
@OUTPUTS.register("abfss")
def output(uri: str) -> ObjectOutput:
    """Returns the place below a path of a container."""
    return ObjectOutput(uri, azure.place)
