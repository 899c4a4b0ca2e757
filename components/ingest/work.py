"""Reads the source that preflight saw."""

import logging
import shutil
from pathlib import Path

import pyarrow.compute as pc

from components.source import listing_of, resolve
from finest import parquet, patience
from finest.data.config import Ingest
from finest.data.ingest import ingest
from finest.data.schema import USERS, Manifest
from finest.errors import DataError, UnavailableError

READS = 5
"""Number of times that reading begins, where the store goes away in the middle of it. Waiting for the store is not
counted."""

logger = logging.getLogger(__name__)


def read(source: str, listing: str, items_needed: int, config: Ingest, out: Path) -> Manifest:
    """Writes the data set to a folder.

    Args:
        source: Interactions: a URI or the name of a demo data set.
        listing: Hash of the source's listing as preflight saw it.
        items_needed: Number of items that fine-tuning needs at least.
        config: How the source is read.
        out: The folder.

    Raises:
        DataError: The source is not what preflight listed, or has too few items.
    """
    manifest = _read(source, listing, config, out)
    if manifest.items < items_needed:
        shutil.rmtree(out)
        raise DataError(
            f"{source}: {manifest.items} items after cleaning, but finetune.top_k={items_needed // 2} needs "
            f"{items_needed}; lower finetune.top_k to at most half of the items"
        )
    if config.split.method != "leave_one_out" and not _any_user_holds_out_two_rows(out):
        logger.warning(
            "%s: no user has two held-out rows: whether lists follow the history will not be measured, and the gate's "
            "check frozen.plasticity not be applicable; a larger ingest.split.fraction holds out more",
            source,
        )
    return manifest


def _any_user_holds_out_two_rows(data: Path) -> bool:
    users = parquet.read(data / USERS, columns=["interactions", "train_interactions"])
    held_out = pc.subtract(users["interactions"], users["train_interactions"])
    return bool(pc.any(pc.greater(held_out, 1)).as_py())


def _read(source: str, listing: str, config: Ingest, out: Path) -> Manifest:
    """Reads until nothing cuts it off, at most READS times where a run has patience."""
    reads = 0
    while True:
        found = resolve(source)
        if listing_of(found, config) != listing:
            raise DataError(
                f"{source}: files have changed since preflight listed them; run again once nothing writes there"
            )
        try:
            return ingest(found.filesystem, found.files, config, out)
        except Exception as error:
            reads += 1
            why = found.passing(error)
            waited_for = isinstance(error, UnavailableError) or not patience.limit()
            if why is None or waited_for or reads == READS:
                raise
            logger.warning("reading %s was cut off (%s) and begins anew", source, why)
