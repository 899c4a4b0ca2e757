"""Google Cloud Storage: gcp-storage-emulator, which keeps all in memory."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.services.process import HOST, UnavailableError, answers, free_port, running


@dataclass(frozen=True)
class Emulator:
    """An emulator of an object store, used like the real one by the variables of its environment."""

    scheme: str
    endpoint: str
    environment: dict[str, str]
    """What a process needs to use it, and to use no other."""

    def filesystem(self) -> Any:
        """Returns a file system of its own, for a test to arrange and to look."""
        import pyarrow.fs as pafs

        return pafs.GcsFileSystem(
            anonymous=True, scheme="http", endpoint_override=self.endpoint.partition("://")[2], project_id="test"
        )


def command(port: int) -> list[str]:
    """Returns the command line of the emulator. Raises UnavailableError where it is not installed."""
    program = Path(sys.executable).parent / "gcp-storage-emulator"
    if not program.exists():
        raise UnavailableError("gcp-storage-emulator is not installed (the dev extra brings it)")
    return [str(program), "start", "--host", HOST, "--port", str(port), "--in-memory"]


@contextmanager
def serve(folder: Path) -> Iterator[Emulator]:
    """Runs an emulator for the length of a block."""
    port = free_port()
    endpoint = f"http://{HOST}:{port}"
    with running(command(port), folder / "gcs.log", answers(endpoint)):
        yield Emulator(
            "gs", endpoint, {"STORAGE_EMULATOR_HOST": endpoint, "GOOGLE_APPLICATION_CREDENTIALS": "/nowhere"}
        )
