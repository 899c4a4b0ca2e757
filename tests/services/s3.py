"""An S3 server: rclone, which keeps objects as files of a folder, buckets as its subfolders."""

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.services.process import HOST, UnavailableError, answers, free_port, running

KEY, SECRET = "finest-test-key", "finest-test-secret"  # of servers on loopback that hold nothing


@dataclass(frozen=True)
class S3:
    """A server and the folder that it serves."""

    endpoint: str
    root: Path

    def bucket(self, name: str) -> str:
        """A new bucket's name."""
        (self.root / name).mkdir(parents=True, exist_ok=True)
        return name

    def environment(self, **more: str) -> dict[str, str]:
        """What a process needs to use the server, and to use no other."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_REQUEST_CHECKSUM_CALCULATION": "when_required",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": "/nowhere",
            "AWS_SHARED_CREDENTIALS_FILE": "/nowhere",
            **more,
        }

    def client(self) -> Any:
        """A client of its own, for a test to arrange and to look."""
        import boto3
        from botocore.config import Config

        config = Config(request_checksum_calculation="when_required", retries={"total_max_attempts": 1})
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=KEY,
            aws_secret_access_key=SECRET,
            region_name="us-east-1",
            config=config,
        )


def command(root: Path, port: int) -> list[str]:
    """The command line of the server. Raises UnavailableError where rclone is not installed."""
    beside = Path(sys.executable).parent / "rclone"
    rclone = str(beside) if beside.exists() else shutil.which("rclone")
    if rclone is None:
        raise UnavailableError("rclone is not installed (the dev extra brings it)")
    # Nothing is remembered for long, so that what is put into the folder beside the server is seen; with 0s rclone
    # spins on all cores.
    return [
        rclone,
        "serve",
        "s3",
        str(root),
        "--addr",
        f"{HOST}:{port}",
        "--auth-key",
        f"{KEY},{SECRET}",
        "--dir-cache-time",
        "1ms",
        "--config",
        "/dev/null",
    ]


@contextmanager
def serve(folder: Path) -> Iterator[S3]:
    """A server whose buckets lie in `folder`/s3."""
    root, port = folder / "s3", free_port()
    root.mkdir(parents=True, exist_ok=True)
    endpoint = f"http://{HOST}:{port}"
    with running(command(root, port), folder / "s3.log", answers(endpoint)):
        yield S3(endpoint, root)
