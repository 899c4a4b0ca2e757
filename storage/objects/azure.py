"""Azure Blob Storage and Data Lake Storage: from a URI, and what the environment says, to a place there.

The account is the URI's, or AZURE_STORAGE_ACCOUNT's; credentials are AZURE_STORAGE_KEY, AZURE_STORAGE_SAS_TOKEN, or
else Azure's default: a service principal's variables, workload identity, a managed identity, `az login`.
AZURE_STORAGE_CONNECTION_STRING says all of it, and leads to an emulator too.
"""

import os
import re
from collections.abc import Mapping
from functools import partial
from urllib.parse import urlsplit

from finest.errors import ConfigError
from storage.objects.errors import Service, fault_in
from storage.objects.place import Place

CONTAINER = re.compile(r"(?=.{3,63}$)[a-z0-9](-?[a-z0-9])*|\$root|\$web")
ACCOUNT = re.compile(r"[a-z0-9]{3,24}")
SUFFIX = "core.windows.net"
RETRIES = 3
"""Number of times that a request is repeated, within some 14 seconds, before `patience` has its say."""
EMULATOR = {
    "AccountName": "devstoreaccount1",
    "AccountKey": "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==",
    "BlobEndpoint": "http://127.0.0.1:10000/devstoreaccount1",
}
"""What UseDevelopmentStorage=true means, with the emulator's public key."""


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
    try:
        from storage.objects import blobs
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "azure":
            raise
        raise ConfigError(
            f"{uri}: Azure needs the packages azure-storage-blob and azure-identity; pip install 'finest[azure]'"
        ) from error
    try:
        given = _given(uri, account, suffix.partition(".")[2])
        url = _url(given)
        parts = urlsplit(url)
        endpoint = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(url)
        secret = given.get("AccountKey"), given.get("SharedAccessSignature")
        if parts.scheme == "http" and not any(secret):
            raise ConfigError(f"{uri}: {endpoint} is no https://, and {SERVICE.name} takes an identity over that alone")
        filesystem = blobs.filesystem(partial(place, uri), url, given["AccountName"], *secret, RETRIES)
    except ValueError:  # its text may hold a token
        raise ConfigError(f"{uri}: the account's address is none; check {SERVICE.variable}") from None
    return Place(uri, SERVICE, filesystem, endpoint, container, key.rstrip("/"))


def _given(uri: str, account: str, suffix: str) -> Mapping[str, str]:
    """Returns the account and how to get in, in the words of a connection string."""
    values = _parsed(uri, os.environ.get("AZURE_STORAGE_CONNECTION_STRING", "")) or {
        "AccountName": os.environ.get("AZURE_STORAGE_ACCOUNT", ""),
        "AccountKey": os.environ.get("AZURE_STORAGE_KEY", ""),
        "SharedAccessSignature": os.environ.get("AZURE_STORAGE_SAS_TOKEN", ""),
    }
    known = {name: value.strip() for name, value in values.items() if value.strip()}
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
        known.pop("AccountKey", None)  # the narrower one is meant
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


def _url(given: Mapping[str, str]) -> str:
    """Returns the account's address, where containers lie."""
    host = f"{given['AccountName']}.blob.{given.get('EndpointSuffix', SUFFIX)}"
    return (given.get("BlobEndpoint") or f"{given.get('DefaultEndpointsProtocol', 'https')}://{host}").rstrip("/")


SERVICE = Service(
    name="Azure Blob Storage",
    container="container",
    sign_in=(
        "set AZURE_STORAGE_ACCOUNT with AZURE_STORAGE_KEY or AZURE_STORAGE_SAS_TOKEN, "
        "or AZURE_STORAGE_CONNECTION_STRING, or run where workload identity gives them"
    ),
    right="the role Storage Blob Data Contributor there",
    variable="AZURE_STORAGE_CONNECTION_STRING",
    diagnose=fault_in,
)
