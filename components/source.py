"""The source of a run: a URI, or the name of a sample that is fetched once."""

from dataclasses import replace

import storage
from finest.data.config import Ingest
from finest.data.window import prune
from storage import samples


def listing_of(found: storage.Source, config: Ingest) -> str:
    """Returns a hash of the listing of the files that ingest reads: days outside of its window may come and go."""
    return storage.listing_hash(replace(found, files=prune(found.files, config.since, config.until)))


def resolve(source: str) -> storage.Source:
    """Returns the files of a URI or of a sample's name. Raises DataError where there is nothing."""
    return storage.resolve(str(samples.fetch(source)) if source in samples.SAMPLES else source)
