"""One way to a URI: what lies there, and a place for checkpoints."""

from storage.checkpoints import FolderStore, checkpoint_store
from storage.resolve import Source, listing_hash, resolve

__all__ = ["FolderStore", "Source", "checkpoint_store", "listing_hash", "resolve"]
