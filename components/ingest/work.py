"""Reads the source that preflight saw."""

import logging
import shutil
from pathlib import Path

import tenacity

import storage
from components.source import listing_of, resolve
from finest import patience
from finest.data.config import Ingest
from finest.data.ingest import ingest
from finest.data.schema import Manifest
from finest.errors import DataError, UnavailableError

READS = 5
"""Number of times that reading begins, where the store goes away in the middle of it. Waiting for the store is not
counted."""

logger = logging.getLogger(__name__)


def read(source: str, listing: str, items_needed: int, config: Ingest, out: Path) -> Manifest:
    """Writes the data set to a folder.

    Args:
        source: Interactions: a URI or the name of a sample.
        listing: Hash of the source's listing as preflight saw it.
        items_needed: Number of items that fine-tuning needs at least.
        config: How the source is read.
        out: The folder.

    Raises:
        DataError: The source is not what preflight listed, or has too few items.
    """

    def cut_off(error: BaseException) -> str | None:
        waited_for = isinstance(error, UnavailableError) or not patience.limit()
        return None if waited_for else storage.cut_off(source, error)

    def say(state: tenacity.RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        logger.warning("reading %s was cut off (%s) and begins anew", source, cut_off(error) if error else "")

    again = tenacity.Retrying(
        stop=tenacity.stop_after_attempt(READS),
        retry=tenacity.retry_if_exception(lambda error: cut_off(error) is not None),
        before_sleep=say,
        reraise=True,
    )
    return again(_read, source, listing, items_needed, config, out)


def _read(source: str, listing: str, items_needed: int, config: Ingest, out: Path) -> Manifest:
    found = resolve(source)
    if listing_of(found, config) != listing:
        raise DataError(
            f"{source}: files have changed since preflight listed them; run again once nothing writes there"
        )
    manifest = ingest(found.filesystem, found.files, config, out)
    if manifest.items < items_needed:
        shutil.rmtree(out)
        raise DataError(
            f"{source}: {manifest.items} items after cleaning, but finetune.top_k={items_needed // 2} needs "
            f"{items_needed}; lower finetune.top_k to at most half of the items"
        )
    return manifest
