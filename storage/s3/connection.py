"""boto3's word on who we are and where the server is, and a file system for reading that follows it."""

import os
import re
from collections.abc import Callable
from typing import Any

import boto3
import pyarrow.fs as pafs
from botocore.config import Config
from botocore.credentials import RefreshableCredentials
from botocore.exceptions import ClientError
from fsspec import AbstractFileSystem
from fsspec.implementations.arrow import ArrowFSWrapper

from finest import patience
from finest.patience import Absence
from storage.s3.errors import busy, passing, shown
from storage.s3.place import Place

ATTEMPTS = 8
"""Tries of each request, with growing, random waits between them; AWS_MAX_ATTEMPTS overrides it. Requests of boto3 are
tried for as long as `patience` says, where it says anything."""
CONNECT_SECONDS, READ_SECONDS = 10, 60
DEFAULT_REGION = "us-east-1"
AMAZON = re.compile(r"https://s3(\.[a-z0-9-]+)?\.amazonaws\.com(\.cn)?")
"""Endpoints that pyarrow finds by the region; any other is handed to it."""


class Connection:
    """A boto3 session and a client of it; make it where it is used, it does not go to other processes."""

    def __init__(self) -> None:
        self._session = boto3.Session()
        # For every client, as a role's credentials come over the network too; handlers of the asterisk come before
        # botocore's own.
        self._session.events.register_first("needs-retry.*", _patient)
        retries = {"mode": "standard", "total_max_attempts": attempts()}
        config = Config(
            retries=retries,
            connect_timeout=CONNECT_SECONDS,
            read_timeout=READ_SECONDS,
            # Some servers answer for a part of an object with the checksum of the whole; `transfer` checks downloads.
            response_checksum_validation="when_required",
        )
        self.client = self._session.client("s3", config=config)

    @property
    def endpoint(self) -> str:
        """The server's URL."""
        return str(self.client.meta.endpoint_url)

    def region(self, bucket: str) -> str:
        """Returns where the bucket is, which servers say even to who may use a part of it; else what is configured."""
        try:
            answer = self.client.head_bucket(Bucket=bucket)
        except ClientError as error:
            answer = error.response
        told = answer["ResponseMetadata"]["HTTPHeaders"].get("x-amz-bucket-region")
        return told or self.client.meta.region_name or DEFAULT_REGION

    def filesystem(self, place: Place) -> pafs.FileSystem:
        """Reads the bucket of `place`, in the region where it is."""
        settings: dict[str, Any] = {
            "region": self.region(place.bucket),
            "connect_timeout": CONNECT_SECONDS,
            "request_timeout": READ_SECONDS,
            "retry_strategy": pafs.AwsStandardS3RetryStrategy(max_attempts=attempts()),
        }
        if not AMAZON.fullmatch(self.endpoint):
            scheme, _, host = self.endpoint.partition("://")
            settings |= {"scheme": scheme, "endpoint_override": host}
        if bundle := os.environ.get("AWS_CA_BUNDLE"):
            settings["tls_ca_file_path"] = bundle

        def connect(keys: Any) -> pafs.S3FileSystem:
            return pafs.S3FileSystem(
                access_key=keys.access_key, secret_key=keys.secret_key, session_token=keys.token, **settings
            )

        credentials = self._session.get_credentials()
        if isinstance(credentials, RefreshableCredentials):
            return pafs.PyFileSystem(pafs.FSSpecHandler(Renewed(connect, credentials)))
        return connect(credentials.get_frozen_credentials())


def _patient(
    response: Any, endpoint: Any, caught_exception: Any, request_dict: dict[str, Any], event_name: str, **more: Any
) -> float | None:
    """Answers what botocore asks after each try of a request: seconds until the next one, or None for its own rules."""
    why, context = (
        passing(caught_exception) if caught_exception else _refused_for_now(response),
        request_dict["context"],
    )
    if why is not None and patience.limit():
        service = event_name.split(".")[1].upper()
        absence: Absence = context.setdefault("absence", Absence(f"{service} at {shown(endpoint.host)}"))
        return absence.wait(why)
    if caught_exception is None and "absence" in context:
        context["absence"].ended()
    return None


def _refused_for_now(response: Any) -> str | None:
    """Returns why an answer, botocore's (HTTP response, parsed), may be another one in a minute; else None."""
    if response is None:
        return None
    code = str(response[1].get("Error", {}).get("Code", ""))
    return busy(code or str(response[0].status_code))


def attempts() -> int:
    """How often a request is tried."""
    return int(os.environ.get("AWS_MAX_ATTEMPTS") or ATTEMPTS)


class Renewed(ArrowFSWrapper):  # type: ignore[misc]
    """Opens every file with credentials that are good now.

    Those of a role end after an hour or so, and S3FileSystem keeps what it got.

    boto3 renews them a quarter of an hour before their end, so a file may be read for that long at least.
    """

    cachable = False

    def __init__(self, connect: Callable[[Any], pafs.S3FileSystem], credentials: RefreshableCredentials):
        AbstractFileSystem.__init__(self)
        self._connect, self._credentials = connect, credentials
        self._keys: Any = None

    @property
    def fs(self) -> pafs.S3FileSystem:
        """The file system of now."""
        keys = self._credentials.get_frozen_credentials()
        if keys != self._keys:
            self._current, self._keys = self._connect(keys), keys
        return self._current
