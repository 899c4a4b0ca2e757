"""Why something failed, by its chain of exceptions: why a server gave no answer, what the machine lacks."""

import errno
import re
import socket
import ssl
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple
from urllib.parse import urlsplit

from finest.errors import DISK_FULL

Kind = Literal["name", "certificate", "tls", "refused", "time", "closed", "route", "other"]
Short = Literal["disk", "memory", "GPU memory"]


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
SHORT: tuple[tuple[Short, tuple[int, ...], re.Pattern[str]], ...] = (
    ("disk", DISK_FULL, re.compile("no space left on device|disk is full", re.IGNORECASE)),
    ("GPU memory", (), re.compile("(CUDA|HIP|GPU).* out of memory")),
    (
        "memory",
        (errno.ENOMEM,),
        re.compile(
            "MemoryError|can(no|')t allocate memory|unable to allocate|failed to allocate|malloc of size|bad.alloc"
            "|can't start new thread|thread creation failed|out of memory"
            "|failed to map segment from shared object(?!: (operation not|permission))",
            re.IGNORECASE,
        ),
    ),
)
"""Kinds of shortages, with the system's numbers of them, and what Python, NumPy, Arrow, PyTorch, DuckDB, SQLite, C++
and the loader of libraries write; the first that fits counts."""
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


class Shortage(NamedTuple):
    """Says what this machine has too little of."""

    of: Short
    error: BaseException
    """The error that says so in the fewest words: the first of the chain, which others have wrapped."""


def shortage(error: BaseException) -> Shortage | None:
    """Returns what this machine has too little of, where that led to the error.

    Libraries have errors of their own for it, some wrap one as text, and one that comes from another process is a text.
    """
    for link in reversed(list(chain(error))):
        number, text = getattr(link, "errno", None), f"{type(link).__name__}: {link}"
        for kind, numbers, pattern in SHORT:
            if number in numbers or pattern.search(text):
                return Shortage(kind, link)
    return None


def disk_full(error: BaseException) -> bool:
    """Tells whether a want of disk space led to the error."""
    return (short := shortage(error)) is not None and short.of == "disk"
