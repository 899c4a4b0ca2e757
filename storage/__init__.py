"""One way to a URI: what lies there, a place for checkpoints, and a place for lists."""

from storage.checkpoints import checkpoint_store, probe
from storage.folder import FolderStore
from storage.outputs import output, probe_output
from storage.registry import packages_of
from storage.resolve import listing_hash, resolve
from storage.source import Source

__all__ = [
    "FolderStore",
    "Source",
    "checkpoint_store",
    "listing_hash",
    "output",
    "packages_of",
    "probe",
    "probe_output",
    "resolve",
]
