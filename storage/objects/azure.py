"""Azure Blob Storage and Data Lake Storage, by pyarrow's own file system.

The account is the URI's, or AZURE_STORAGE_ACCOUNT's; credentials are AZURE_STORAGE_KEY, AZURE_STORAGE_SAS_TOKEN, or
else Azure's default: a service principal's variables, workload identity, a managed identity, `az login`.
AZURE_STORAGE_CONNECTION_STRING says all of it, and leads to an emulator too.
"""

import os
import re
from collections.abc import Mapping
from urllib.parse import urlsplit

import pyarrow.fs as pafs

from finest.errors import ConfigError
from storage.objects.errors import Fault, Service
from storage.objects.place import Place

CONTAINER = re.compile(r"(?=.{3,63}$)[a-z0-9](-?[a-z0-9])*|\$root|\$web")
ACCOUNT = re.compile(r"[a-z0-9]{3,24}")
SUFFIX = "core.windows.net"
EMULATOR = {
    "AccountName": "devstoreaccount1",
    "AccountKey": "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==",
    "BlobEndpoint": "http://127.0.0.1:10000/devstoreaccount1",
}
"""What UseDevelopmentStorage=true means, with the emulator's public key."""

ERROR = re.compile(r"Azure Error: \[(\w*)\](?: (\d{3}))?")
NO_CONTAINER = {"ContainerNotFound", "FilesystemNotFound", "ContainerBeingDeleted"}
MISSING = {"BlobNotFound", "PathNotFound", "ResourceNotFound"}


def place(uri: str) -> Place:
    """Connects to the place at abfs://container@account.dfs.core.windows.net/path, or abfs://container/path.

    Raises:
        ConfigError: That is no place, or no account is known. The message holds no part of a name that is none: it may
            be a secret.
    """
    scheme, _, rest = uri.partition("://")
    netloc, _, key = rest.partition("/")
    container, _, host = netloc.partition("@")
    account, _, suffix = host.partition(".")
    if not CONTAINER.fullmatch(container) or (host and not ACCOUNT.fullmatch(account)):
        form = f"{scheme}://CONTAINER@ACCOUNT.dfs.{SUFFIX}/PATH or {scheme}://CONTAINER/PATH"
        raise ConfigError(f"{scheme}://...: that is no name of a container; write {form}, and {SERVICE.sign_in}")
    if "?" in key:
        raise ConfigError(
            f"{scheme}://{netloc}/{key.partition('?')[0]}: a query follows, and a token in a URI would stand in every "
            "record of the run; put it into AZURE_STORAGE_SAS_TOKEN, and the URI without it into the config"
        )
    if not hasattr(pafs, "AzureFileSystem"):
        raise ConfigError(f"{uri}: this pyarrow is built without Azure Blob Storage; pip install pyarrow")
    given = _given(uri, account, suffix.partition(".")[2])
    scheme, authority, endpoint = _endpoint(given)
    dfs = authority.replace(".blob.", ".dfs.", 1)
    filesystem = pafs.AzureFileSystem(
        given["AccountName"],
        account_key=given.get("AccountKey"),
        sas_token=given.get("SharedAccessSignature"),
        blob_storage_scheme=scheme,
        blob_storage_authority=authority,
        dfs_storage_scheme=scheme,
        dfs_storage_authority=dfs,
    )
    return Place(uri, SERVICE, filesystem, endpoint, container, key.rstrip("/"))


def _given(uri: str, account: str, suffix: str) -> Mapping[str, str]:
    """Returns the account and how to get in, in the words of a connection string."""
    values = _parsed(uri, os.environ.get("AZURE_STORAGE_CONNECTION_STRING", "")) or {
        "AccountName": os.environ.get("AZURE_STORAGE_ACCOUNT", ""),
        "AccountKey": os.environ.get("AZURE_STORAGE_KEY", ""),
        "SharedAccessSignature": os.environ.get("AZURE_STORAGE_SAS_TOKEN", ""),
    }
    known = {name: value for name, value in values.items() if value}
    configured = known.setdefault("AccountName", account)
    if not configured:
        raise ConfigError(
            f"{uri}: no Azure storage account is given; write abfs://CONTAINER@ACCOUNT.dfs.{SUFFIX}/PATH, or set "
            "AZURE_STORAGE_ACCOUNT"
        )
    if account and account != configured:
        raise ConfigError(
            f"{uri}: the credentials in the environment are for the account {configured}; unset AZURE_STORAGE_ACCOUNT "
            "and AZURE_STORAGE_CONNECTION_STRING, or name that account in the URI"
        )
    if "SharedAccessSignature" in known:
        known.pop("AccountKey", None)  # pyarrow takes one of the two; the narrower one is meant
    if suffix:
        known.setdefault("EndpointSuffix", suffix)
    return known


def _parsed(uri: str, connection: str) -> dict[str, str]:
    if not connection:
        return {}
    pairs = [part.partition("=") for part in connection.split(";") if part.strip()]
    values = {name.strip(): value.strip() for name, _, value in pairs}
    if values.get("UseDevelopmentStorage") == "true":
        return EMULATOR
    if "AccountName" not in values and not values.get("BlobEndpoint"):
        raise ConfigError(
            f"{uri}: AZURE_STORAGE_CONNECTION_STRING names no AccountName; copy it whole from the account's access keys"
        )
    return {"AccountName": _account_of(values.get("BlobEndpoint", "")), **values}


def _account_of(endpoint: str) -> str:
    return (urlsplit(endpoint).hostname or "").partition(".")[0]


def _endpoint(given: Mapping[str, str]) -> tuple[str, str, str]:
    """Returns scheme, authority as pyarrow takes it (after a dot, where the account's name comes first), and URL."""
    account = given["AccountName"]
    default = f"{given.get('DefaultEndpointsProtocol', 'https')}://{account}.blob.{given.get('EndpointSuffix', SUFFIX)}"
    parts = urlsplit(given.get("BlobEndpoint") or default)
    host = parts.netloc.rpartition("@")[2]
    authority = host.removeprefix(account) if host.startswith(f"{account}.") else host
    return parts.scheme, authority, f"{parts.scheme}://{host}"


def diagnose(error: BaseException) -> Fault | None:
    """Tells what an error of pyarrow's AzureFileSystem means, by what Azure's library puts into its text."""
    text = str(error)
    if "AuthenticationException" in text:
        return Fault("credentials", "none are set, and no identity gives them")
    if not (found := ERROR.search(text)):
        if text.startswith("[Errno 2] Path does not exist"):
            return Fault("missing", "PathNotFound")
        return None if isinstance(error, OSError) else Fault("other", "an answer that cannot be read")
    code, status = found[1], found[2] or ""
    if not code and not status:
        why = "the name does not resolve" if "resolve" in text else "no connection"
        return Fault("unreachable", "the certificate is not trusted" if "certificate" in text else why)
    said = code or f"HTTP {status}"
    if code in NO_CONTAINER:
        return Fault("container", said)
    if code in MISSING:
        return Fault("missing", said)
    if status == "401" or "failed to authenticate" in text:
        return Fault("refused", said)
    if status == "403":
        return Fault("denied", said)
    if status in ("408", "429") or status.startswith("5"):
        return Fault("busy", said)
    return Fault("other", said)


SERVICE = Service(
    name="Azure Blob Storage",
    container="container",
    sign_in=(
        "set AZURE_STORAGE_ACCOUNT with AZURE_STORAGE_KEY or AZURE_STORAGE_SAS_TOKEN, "
        "or AZURE_STORAGE_CONNECTION_STRING, or run where workload identity gives them"
    ),
    right="the role Storage Blob Data Contributor there",
    variable="AZURE_STORAGE_CONNECTION_STRING",
    diagnose=diagnose,
)
