"""Google Cloud Storage, by pyarrow's own file system.

Credentials are Google's application default: the file that GOOGLE_APPLICATION_CREDENTIALS names, gcloud's own, or those
of the machine or the pod (workload identity). STORAGE_EMULATOR_HOST leads to an emulator, which asks for none.
"""

import os
import re
from datetime import timedelta

import pyarrow.fs as pafs

from finest.errors import ConfigError
from storage.objects.errors import Fault, Service
from storage.objects.place import Place

BUCKET = re.compile(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]")
ENDPOINT = "https://storage.googleapis.com"
RETRY_SECONDS = 15
"""Time, in seconds, that pyarrow repeats a request that the server does not take, before `patience` has its say."""

STATUS = re.compile(r"google::cloud::Status\((\w+):")
CURL = re.compile(r"CURL error \[\d+\]=([^\[\]={}]+?)(?: error_info|[.:]|$)")
FUNCTION = re.compile(r"retry\.function=(\w+)")
ON_BUCKET = {"ListObjects", "CreateResumableUpload", "InsertObjectMedia"}
"""Requests that name no object which could be missing."""
BUSY = {"UNAVAILABLE", "RESOURCE_EXHAUSTED", "INTERNAL", "DEADLINE_EXCEEDED", "ABORTED"}
"""What Google's library makes of HTTP statuses 408, 429 and 5xx."""


def place(uri: str) -> Place:
    """Connects to the place at gs://bucket/prefix; keys are taken as they are, without percent-encoding.

    Raises:
        ConfigError: That is no place. The message holds no part of the name: it may be a key and its secret.
    """
    bucket, _, key = uri.removeprefix("gs://").partition("/")
    if not BUCKET.fullmatch(bucket):
        raise ConfigError(f"gs://...: that is no name of a bucket; write gs://BUCKET/PREFIX, and {SERVICE.sign_in}")
    if not hasattr(pafs, "GcsFileSystem"):
        raise ConfigError(f"{uri}: this pyarrow is built without Google Cloud Storage; pip install pyarrow")
    limit = timedelta(seconds=RETRY_SECONDS)
    if emulator := os.environ.get("STORAGE_EMULATOR_HOST"):
        scheme, _, host = emulator.rstrip("/").rpartition("://")
        scheme, host = scheme or "http", host.rpartition("@")[2]
        filesystem = pafs.GcsFileSystem(anonymous=True, scheme=scheme, endpoint_override=host, retry_time_limit=limit)
        return Place(uri, SERVICE, filesystem, f"{scheme}://{host}", bucket, key.rstrip("/"))
    return Place(uri, SERVICE, pafs.GcsFileSystem(retry_time_limit=limit), ENDPOINT, bucket, key.rstrip("/"))


def diagnose(error: BaseException) -> Fault | None:
    """Tells what an error of pyarrow's GcsFileSystem means, by what Google's library puts into its text."""
    text = str(error)
    if not (status := STATUS.search(text)):
        return None
    code = status[1]
    if "OAuth2 access token" in text:
        return Fault("credentials", _why_no_token(text))
    if code == "UNAUTHENTICATED":
        return Fault("refused", code)
    if code == "PERMISSION_DENIED":
        return Fault("denied", _function(text))
    if code == "NOT_FOUND":
        return Fault("container" if _function(text) in ON_BUCKET else "missing", code)
    if found := CURL.search(text):
        return Fault("unreachable", found[1].strip())
    if code in BUSY:
        return Fault("busy", code)
    return Fault("other", code)


def _function(text: str) -> str:
    found = FUNCTION.search(text)
    return found[1] if found else "the request"


def _why_no_token(text: str) -> str:
    if "Cannot open credentials file" in text:
        return "the file that GOOGLE_APPLICATION_CREDENTIALS names cannot be opened"
    if "credentials file" in text or "redential" in text.partition("underlying error message was:")[2]:
        return "the file that GOOGLE_APPLICATION_CREDENTIALS names holds none"
    return "none are set, and no metadata server gives them"


SERVICE = Service(
    name="Google Cloud Storage",
    container="bucket",
    sign_in=(
        "set GOOGLE_APPLICATION_CREDENTIALS to the key file of a service account, "
        "or run where workload identity gives them"
    ),
    right="the role roles/storage.objectUser there",
    variable="STORAGE_EMULATOR_HOST",
    diagnose=diagnose,
)
