"""One way to a URI: what lies there, and a place for checkpoints."""

from storage.checkpoints import checkpoint_store, probe
from storage.folder import FolderStore
from storage.registry import packages_of
from storage.resolve import listing_hash, resolve
from storage.source import Source

__all__ = ["FolderStore", "Source", "checkpoint_store", "listing_hash", "packages_of", "probe", "resolve"]
