"""Kinds of places by the scheme of their URI, such as `s3` of s3://bucket/prefix; entry points add to them."""

from collections.abc import Callable, Iterable
from typing import TypeVar
from urllib.parse import urlsplit

from finest.errors import ConfigError
from finest.registry import Registry
from finest.serving.place import Place
from finest.training.store import Store
from storage.source import Source

SOURCES: Registry[Callable[[str], Source]] = Registry("source", "finest.sources", "storage.schemes", check=callable)
"""By scheme: finds the files of interactions at a URI. A path without a scheme is a `file`."""
CHECKPOINTS: Registry[Callable[[str], Store]] = Registry(
    "place for checkpoints", "finest.checkpoints", "storage.schemes", check=callable
)
"""By scheme: makes the store of checkpoints at a URI."""
OUTPUTS: Registry[Callable[[str], Place]] = Registry(
    "place for lists", "finest.outputs", "storage.schemes", check=callable
)
"""By scheme: makes the place for files of lists at a URI."""

T = TypeVar("T")


def packages_of(source: str, checkpoints: str, output: str = "", files: Iterable[str] = ()) -> list[str]:
    """Returns name and version of the other packages that a run's places need, like `example==1.0`."""
    of_sources = [SOURCES.package_of(scheme_of(uri)) for uri in [source, *files]]
    found = *of_sources, CHECKPOINTS.package_of(scheme_of(checkpoints)), OUTPUTS.package_of(scheme_of(output))
    return [package for package in found if package]


def scheme_of(uri: str) -> str:
    """Returns the scheme of a URI; a path without one is a `file`."""
    return urlsplit(uri).scheme if "://" in uri else "file"


def at(places: Registry[Callable[[str], T]], uri: str) -> T:
    """Returns what is at a path or URI, by its scheme. Raises ConfigError for an unknown one."""
    scheme = scheme_of(uri)
    if scheme not in places:
        known = ", ".join(f"{name}://" for name in places)
        raise ConfigError(
            f"{uri}: unknown kind of {places.kind} {scheme}://; known are a path and {known}; another "
            f"package adds one by an entry point of {places.group}"
        )
    return places[scheme](uri)
