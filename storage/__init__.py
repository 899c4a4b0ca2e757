"""One way to a URI: what lies there, and a place for checkpoints."""

from storage.checkpoints import FolderStore, checkpoint_store, probe
from storage.resolve import cut_off, listing_hash, resolve
from storage.source import Source

__all__ = ["FolderStore", "Source", "checkpoint_store", "cut_off", "listing_hash", "probe", "resolve"]
