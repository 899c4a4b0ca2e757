"""MLflow's server as a cluster runs it: metadata in PostgreSQL, artifacts in an S3.

Nobody but the server can resolve the address of the S3.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.services.postgres import Database
from tests.services.process import HOST, answers, free_port, running
from tests.services.s3 import S3

BUCKET = "mlflow"
STORE = "s3.finest.invalid"
"""The S3 server's name for MLflow's server alone: what goes past it, by an URL of the store's, fails."""
INSIDE = Path(__file__).parent / "inside"


def command(database: Database, s3: S3, port: int) -> tuple[list[str], dict[str, str]]:
    """The server's command line and environment; makes the bucket."""
    options = [
        "--host",
        HOST,
        "--port",
        str(port),
        "--workers",
        "1",
        "--backend-store-uri",
        database.uri,
        "--serve-artifacts",
        "--artifacts-destination",
        f"s3://{s3.bucket(BUCKET)}/artifacts",
    ]
    own = {
        "AWS_ENDPOINT_URL": s3.endpoint.replace(HOST, STORE),
        "PYTHONPATH": str(INSIDE),
        "FINEST_TESTS_INSIDE": STORE,
    }
    return [sys.executable, "-m", "mlflow", "server", *options], s3.environment(
        MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false", **own
    )


@contextmanager
def serve(folder: Path, database: Database, s3: S3) -> Iterator[str]:
    """The tracking URI of a server for the length of a block. `folder` gets its log."""
    port = free_port()
    folder.mkdir(parents=True, exist_ok=True)
    arguments, environment = command(database, s3, port)
    with running(arguments, folder / "mlflow.log", answers(f"http://{HOST}:{port}/health"), environment):
        yield f"http://{HOST}:{port}"
