"""Why a server gave no answer: the cause in a chain of exceptions, with the address that was tried."""

import re
import socket
import ssl
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple
from urllib.parse import urlsplit

from finest.errors import DISK_FULL

Kind = Literal["name", "certificate", "tls", "refused", "time", "closed", "route", "other"]


class Sign(NamedTuple):
    """Says how a cause is recognised, and how it is put."""

    kind: Kind
    """The cause."""
    types: tuple[type[BaseException], ...]
    """Exceptions that have it."""
    text: str
    """A regular expression that finds it where only a text is left."""
    words: str
    """The sentence for people; the address takes the place of {}."""


SIGNS = (
    Sign(
        "name",
        (socket.gaierror,),
        "NameResolution|service not known|not resolve",
        "no connection to {}: the name does not resolve",
    ),
    Sign(
        "certificate",
        (ssl.SSLCertVerificationError,),
        "CERTIFICATE_VERIFY_FAILED",
        "no connection to {}: certificate not trusted",
    ),
    Sign("tls", (ssl.SSLError,), "WRONG_VERSION_NUMBER|SSLError", "no connection to {}: it does not speak TLS"),
    Sign("refused", (ConnectionRefusedError,), "Connection refused", "no connection to {}: refused"),
    Sign("time", (TimeoutError,), "timed out|ReadTimeout|ConnectTimeout", "no answer from {} in time"),
    Sign(
        "closed",
        (ConnectionError,),
        "Connection reset|RemoteDisconnected|Connection aborted",
        "{} hung up without an answer",
    ),
    Sign("route", (), "No route to host|Network is unreachable", "no connection to {}: no way leads there"),
)
"""All causes that are recognised; the first that fits counts."""
POOL = re.compile(r"host='([^']+)', port=([0-9]+)")
"""Finds the address in what urllib3 writes."""
DEFAULT_PORTS = {"http": 80, "https": 443}


class Cause(NamedTuple):
    """Says why there was no answer, and from where."""

    kind: Kind
    """The cause."""
    words: str
    """One line, with the address: its host and port, and neither path nor query, which may hold a signature."""


def find(error: BaseException, url: str = "") -> Cause:
    """Finds the cause of an error.

    Args:
        error: The error.
        url: The address that was asked for. The one that the error names is taken first: a redirect may lead elsewhere.
    """
    address, links = host_and_port(url), list(chain(error))
    for link in links:
        address = _address(link) or address
        for sign in SIGNS:
            if isinstance(link, sign.types):
                return Cause(sign.kind, sign.words.format(address or "the server") + _more(link))
    text = " ".join(str(link) for link in links)  # a library may have made a text of what it caught
    for sign in SIGNS:
        if re.search(sign.text, text):
            return Cause(sign.kind, sign.words.format(address or "the server"))
    return Cause("other", f"no connection to {address or 'the server'}: {type(links[-1]).__name__}")


def chain(error: BaseException) -> Iterator[BaseException]:
    """Yields the error, what caused it, what caused that, and so on."""
    seen: list[BaseException] = []
    link: BaseException | None = error
    while link is not None and link not in seen:
        yield link
        seen.append(link)
        link = link.__cause__ or link.__context__


def host_and_port(url: str) -> str:
    """Returns the host and the port of a URL, without a user and a password that may stand in it.

    >>> host_and_port("https://me:secret@kfp.example/pipeline"), host_and_port("http://localhost:8888")
    ('kfp.example:443', 'localhost:8888')
    """
    try:
        parts = urlsplit(url if "://" in url else f"//{url}")
    except ValueError:  # brackets of an IPv6 address that do not match
        return ""
    place = parts.netloc.rpartition("@")[2]
    port = DEFAULT_PORTS.get(parts.scheme)
    return f"{place}:{port}" if place and port and not re.search(r":[0-9]+$", place) else place


def _address(link: BaseException) -> str:
    """Returns the address that a link of a chain names: urllib3's pool, botocore's endpoint or requests' request."""
    for name in ("conn", "pool"):
        place: Any = vars(link).get(name)
        if place is not None and getattr(place, "host", None):
            return f"{place.host}:{place.port}"
    given = vars(link).get("kwargs") or {}
    if isinstance(given, dict) and given.get("endpoint_url"):
        return host_and_port(str(given["endpoint_url"]))
    if url := getattr(vars(link).get("request"), "url", None):
        return host_and_port(str(url))
    found = POOL.search(str(link))
    return f"{found[1]}:{found[2]}" if found else ""


def _more(link: BaseException) -> str:
    """Returns what the system says of a certificate: that it has expired, is of another name or signed by itself."""
    said = getattr(link, "verify_message", "")
    return f" ({said})" if said else ""


def disk_full(error: BaseException | None) -> bool:
    """Tells whether the error, or one that led to it, is for want of disk space.

    Libraries wrap such an error, some as text alone.
    """
    while error is not None:
        text = str(error).lower()
        if getattr(error, "errno", None) in DISK_FULL or "no space left on device" in text or "disk is full" in text:
            return True
        error = error.__cause__ or error.__context__
    return False
