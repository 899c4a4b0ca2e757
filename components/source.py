"""The source of a run: a URI, or the name of a sample that is fetched once."""

import storage
from storage import samples


def resolve(source: str) -> storage.Source:
    """Where the interactions are. Raises DataError where there is nothing."""
    return storage.resolve(str(samples.fetch(source)) if source in samples.SAMPLES else source)
