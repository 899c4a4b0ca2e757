"""Whole files to and from S3: up in parts with SHA256 checksums, down so that a broken connection costs only what it broke."""

import hashlib
import random
import time
from pathlib import Path
from typing import Any

from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ConnectionError as NoConnection
from botocore.exceptions import HTTPClientError, IncompleteReadError, ResponseStreamingError

from finest.errors import FinestError
from storage.s3.connection import attempts
from storage.s3.place import Place

PARTS = TransferConfig(multipart_threshold=16 << 20, multipart_chunksize=16 << 20, max_concurrency=4)
CHUNK = 1 << 20
BROKEN = (NoConnection, HTTPClientError, IncompleteReadError, ResponseStreamingError)
LONGEST_WAIT_SECONDS = 20.0


def upload(client: Any, file: Path, place: Place) -> None:
    """Puts the file there at once: readers see the old object or the new one. The server checks every part, `download` the whole."""
    with file.open("rb") as content:
        whole = hashlib.file_digest(content, "sha256").hexdigest()
        content.seek(0)
        about = {"ChecksumAlgorithm": "SHA256", "Metadata": {"sha256": whole}}
        client.upload_fileobj(content, place.bucket, place.key, ExtraArgs=about, Config=PARTS)


def download(client: Any, place: Place, file: Path) -> None:
    """Writes the object to `file`, which appears whole or not at all.

    What has come stays beside `file` where the transfer is cut off, and the next call, in this process or another one, goes on from
    there if the object is still the same. Raises FinestError where the content is not what was uploaded.
    """
    about = client.head_object(Bucket=place.bucket, Key=place.key)
    size, etag = about["ContentLength"], about["ETag"]
    partial = file.with_name(f".{file.name}.{hashlib.sha256(etag.encode()).hexdigest()[:12]}.partial")
    partial.touch()
    failures = 0
    while (have := partial.stat().st_size) < size:
        try:
            _append(client, place, etag, partial, have)
        except BROKEN:
            failures = failures + 1 if partial.stat().st_size == have else 1
            if failures >= attempts():
                raise
            time.sleep(random.uniform(0, min(LONGEST_WAIT_SECONDS, 2.0**failures)))
    wanted = about["Metadata"].get("sha256")
    with partial.open("rb") as content:
        found = hashlib.file_digest(content, "sha256").hexdigest()
    if wanted not in (None, found):
        partial.unlink()
        raise FinestError(f"{place.uri}: what was read has sha256 {found}, not {wanted}; run again, or delete the object")
    partial.replace(file)


def _append(client: Any, place: Place, etag: str, partial: Path, have: int) -> None:
    body = client.get_object(Bucket=place.bucket, Key=place.key, IfMatch=etag, Range=f"bytes={have}-")["Body"]
    with partial.open("ab") as content:
        for chunk in body.iter_chunks(CHUNK):
            content.write(chunk)
