"""AWS's STS and IAM, and an S3 that heeds their policies: moto's server."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.services.process import HOST, answers, free_port, running


@contextmanager
def serve(folder: Path) -> Iterator[str]:
    """The endpoint of all services.

    Policies hold once `POST /moto-api/reset-auth` has been asked, with the number of calls to allow.
    """
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", HOST, "-p", str(port)]
    with running(command, folder / "moto.log", answers(f"http://{HOST}:{port}/moto-api/")):
        yield f"http://{HOST}:{port}"
