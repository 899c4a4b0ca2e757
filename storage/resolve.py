"""From a URI to the files that lie there."""

import hashlib
import json

from finest.errors import ConfigError
from storage.registry import SOURCES, at
from storage.source import Source
from storage.tables.find import as_table


def resolve(uri: str) -> Source:
    """Returns the file, or the files at any depth of the folder, at a path or a URI such as s3://bucket/prefix.

    In a folder, files and folders whose names begin with '.' or '_' (markers, logs) are left out, and nothing else:
    whether a file can be read is for ingest to say. Of a table, Delta's or Iceberg's, these are the files that count.

    Raises:
        ConfigError: The scheme is unknown, or what it needs is not installed.
        DataError: Nothing lies there.
        FinestError: A server refuses.
    """
    if not uri:
        raise ConfigError("no source is given; name a file or folder of interactions with --source")
    return as_table(at(SOURCES, uri))


def listing_hash(source: Source) -> str:
    """Returns the sha256 of all files' names below the root, sizes and etags: it changes when the source does."""
    names = [[file.path.removeprefix(source.root).lstrip("/"), file.size, file.etag] for file in source.files]
    return hashlib.sha256(json.dumps(names).encode()).hexdigest()
