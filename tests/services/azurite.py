"""Azure Blob Storage: Azurite, Microsoft's own emulator, which keeps all in memory. It runs on Node.js."""

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from storage.objects.azure import EMULATOR as PUBLIC
from tests.services.gcs import Emulator
from tests.services.process import HOST, UnavailableError, free_port, listens, running

ACCOUNT, KEY = PUBLIC["AccountName"], PUBLIC["AccountKey"]
PROGRAM = Path(sys.prefix) / "node/node_modules/azurite/dist/src/blob/main.js"
"""Where tests/services/install.sh puts it."""


class Azurite(Emulator):
    """The emulator, whose server speaks for one account."""

    def filesystem(self) -> Any:
        """Returns a file system of its own, for a test to arrange and to look."""
        import pyarrow.fs as pafs

        host = self.endpoint.partition("://")[2].partition("/")[0]
        return pafs.AzureFileSystem(
            ACCOUNT,
            account_key=KEY,
            blob_storage_scheme="http",
            blob_storage_authority=host,
            dfs_storage_scheme="http",
            dfs_storage_authority=host,
        )


def command(port: int) -> list[str]:
    """Returns the command line of the emulator. Raises UnavailableError where it is not installed."""
    node = shutil.which("node")
    if node is None or not PROGRAM.exists():
        raise UnavailableError("Azurite is not installed (tests/services/install.sh brings it where there is npm)")
    settings = [
        "--blobHost",
        HOST,
        "--blobPort",
        str(port),
        "--inMemoryPersistence",
        "--skipApiVersionCheck",
        "--silent",
    ]
    return [node, str(PROGRAM), *settings, "--disableTelemetry"]


@contextmanager
def serve(folder: Path) -> Iterator[Azurite]:
    """Runs an emulator for the length of a block."""
    port = free_port()
    with running(command(port), folder / "azurite.log", listens(port)):
        endpoint = f"http://{HOST}:{port}/{ACCOUNT}"
        connection = f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};BlobEndpoint={endpoint};"
        yield Azurite("abfs", endpoint, {"AZURE_STORAGE_CONNECTION_STRING": connection})
