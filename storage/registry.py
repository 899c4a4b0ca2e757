"""Kinds of places by the scheme of their URI, such as `s3` of s3://bucket/prefix; another package adds one by an entry point."""

from collections.abc import Callable

from finest.registry import Registry
from finest.training.store import Store
from storage.source import Source

SOURCES: Registry[Callable[[str], Source]] = Registry("source", "finest.sources", "storage.schemes", check=callable)
"""By scheme: finds the files of interactions at a URI. A path without a scheme is a `file`."""
CHECKPOINTS: Registry[Callable[[str], Store]] = Registry(
    "place for checkpoints", "finest.checkpoints", "storage.schemes", check=callable
)
"""By scheme: makes the store of checkpoints at a URI."""
