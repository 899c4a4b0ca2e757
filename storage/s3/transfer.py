"""Whole files to and from S3: up in parts with SHA256 checksums, down so that a cut costs only what it cut."""

import base64
import hashlib
import logging
import math
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from botocore.exceptions import ConnectionError as NoConnection
from botocore.exceptions import HTTPClientError, IncompleteReadError, ResponseStreamingError

from finest.errors import DamagedError
from finest.patience import pause
from storage.s3.connection import attempts
from storage.s3.place import Place

logger = logging.getLogger(__name__)

PART, PARTS_AT_A_TIME = 16 << 20, 4
CHUNK = 1 << 20
BROKEN = (NoConnection, HTTPClientError, IncompleteReadError, ResponseStreamingError)


def upload(client: Any, file: Path, place: Place) -> None:
    """Puts the file there at once: readers see the old object or the new one.

    The server checks every part, and `download` the whole. Not every server
    understands boto3's own way of sending checksums, in a trailer where the connection is encrypted.
    """
    target = {"Bucket": place.bucket, "Key": place.key}
    with file.open("rb") as content:
        about = {"sha256": hashlib.file_digest(content, "sha256").hexdigest()}
        parts = max(1, math.ceil(content.tell() / PART))
    if parts == 1:
        whole = file.read_bytes()
        client.put_object(**target, Body=whole, ChecksumSHA256=checksum(whole), Metadata=about)
        return
    target["UploadId"] = client.create_multipart_upload(**target, ChecksumAlgorithm="SHA256", Metadata=about)[
        "UploadId"
    ]
    try:
        with ThreadPoolExecutor(PARTS_AT_A_TIME) as threads:
            sent = list(threads.map(lambda number: _send(client, target, file, number), range(1, parts + 1)))
        client.complete_multipart_upload(**target, MultipartUpload={"Parts": sent})
    except BaseException:
        client.abort_multipart_upload(**target)
        raise


def _send(client: Any, target: dict[str, str], file: Path, number: int) -> dict[str, Any]:
    with file.open("rb") as content:
        content.seek((number - 1) * PART)
        part = content.read(PART)
    answer = client.upload_part(**target, PartNumber=number, Body=part, ChecksumSHA256=checksum(part))
    return {"PartNumber": number, "ETag": answer["ETag"], "ChecksumSHA256": checksum(part)}


def checksum(content: bytes) -> str:
    """SHA256 as S3 writes it."""
    return base64.b64encode(hashlib.sha256(content).digest()).decode()


def download(client: Any, place: Place, file: Path) -> None:
    """Writes the object to `file`, which appears whole or not at all.

    What has come stays beside `file` where the transfer is cut off, and the next call, in this process or another one,
    goes on from there if the object is still the same. Raises DamagedError where the content is not what was uploaded.
    """
    about = client.head_object(Bucket=place.bucket, Key=place.key)
    size, etag = about["ContentLength"], about["ETag"]
    partial = file.with_name(f".{file.name}.{hashlib.sha256(etag.encode()).hexdigest()[:12]}.partial")
    partial.touch()
    failures = 0
    while (have := partial.stat().st_size) < size:
        body = client.get_object(Bucket=place.bucket, Key=place.key, IfMatch=etag, Range=f"bytes={have}-")["Body"]
        try:
            _append(body, partial)
        except BROKEN as error:
            failures = failures + 1 if partial.stat().st_size == have else 1
            if failures >= attempts():
                raise
            seconds = pause(failures)
            logger.warning("%s: cut off (%s); goes on in %.1f s", place.uri, type(error).__name__, seconds)
            time.sleep(seconds)
    wanted = {name.lower(): value for name, value in about["Metadata"].items()}.get("sha256")
    with partial.open("rb") as content:
        found = hashlib.file_digest(content, "sha256").hexdigest()
    if wanted not in (None, found):
        partial.unlink()
        raise DamagedError(f"{place.uri} is damaged: what was read has sha256 {found}, not {wanted}")
    partial.replace(file)


def _append(body: Any, partial: Path) -> None:
    with partial.open("ab") as content:
        for chunk in body.iter_chunks(CHUNK):
            content.write(chunk)
