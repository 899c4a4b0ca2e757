"""Reading the source that preflight saw."""

import shutil
from pathlib import Path

from components.source import listing_of, resolve
from finest.data.config import Ingest
from finest.data.ingest import ingest
from finest.data.schema import Manifest
from finest.errors import DataError


def read(source: str, listing: str, items_needed: int, config: Ingest, out: Path) -> Manifest:
    """Writes the data set to `out`. Raises DataError where the source is not what preflight listed, or has too few items."""
    found = resolve(source)
    if listing_of(found, config) != listing:
        raise DataError(f"{source}: files have changed since preflight listed them; run again once nothing writes there")
    manifest = ingest(found.filesystem, found.files, config, out)
    if manifest.items < items_needed:
        shutil.rmtree(out)
        raise DataError(
            f"{source}: {manifest.items} items after cleaning, but finetune.top={items_needed // 2} needs {items_needed}; "
            "lower finetune.top to at most half of the items"
        )
    return manifest
