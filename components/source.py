"""The source of a run: a URI, or the name of a demo data set that is fetched once."""

from dataclasses import replace

import storage
from finest.data.config import Ingest
from finest.data.window import prune
from storage import demo_data


def listing_of(found: storage.Source, config: Ingest) -> str:
    """Returns a hash of the listing of the files that ingest reads: days outside of its window may come and go."""
    return storage.listing_hash(replace(found, files=prune(found.files, config)))


def resolve(source: str) -> storage.Source:
    """Returns the files of a URI, or of a demo data set's name. Raises DataError where there is nothing."""
    return storage.resolve(str(demo_data.fetch(source)) if source in demo_data.DEMO_DATA else source)
