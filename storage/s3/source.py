"""From an S3 URI to the files that lie there."""

from functools import partial
from typing import Any

import pyarrow.fs as pafs

from finest.data.source import SourceFile
from finest.errors import DataError
from finest.patience import patiently
from storage.s3.connection import Connection
from storage.s3.errors import explained, passing, shown
from storage.s3.place import Place, parse
from storage.source import Source, hidden, without_files


def resolve(uri: str) -> Source:
    """Returns an object, or the objects below a prefix at any depth, but for hidden ones and markers of folders.

    Everything that can be refused is asked for here, before an engine reads: credentials, bucket, region, listing, and
    reading of the first object.

    Raises:
        DataError: Nothing lies there.
        FinestError: The server refuses; one line.
    """
    place = parse(uri)
    with explained(uri):
        connection = Connection()
    with explained(uri, connection.endpoint):
        files, left_out = below(connection.client, place)
        root = f"{place.bucket}/{place.folder}".rstrip("/")
        if not files and place.key and not place.key.endswith("/"):
            files = [single(connection.client, place)]
            root = files[0].path.rpartition("/")[0]
        if not files:
            raise DataError(f"{uri}: no files lie there{without_files(left_out)}")
        filesystem = connection.filesystem(place)
        # As the engine will: it may be refused what boto3 was not.
        info = patiently(shown(connection.endpoint), partial(filesystem.get_file_info, files[0].path), passing)
        if info.type == pafs.FileType.NotFound:
            raise DataError(
                f"{uri}: {files[0].path} was removed after it was listed; run again once nothing writes there"
            )
    return Source(uri, root, filesystem, files, passing, left_out)


def below(client: Any, place: Place) -> tuple[list[SourceFile], tuple[str, ...]]:
    """Returns the visible objects of a folder, sorted by path, and the names of what was left out."""
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=place.bucket, Prefix=place.folder)
    files, left_out = list[SourceFile](), set[str]()
    for entry in (entry for page in pages for entry in page.get("Contents", ())):
        if entry["Key"].endswith("/"):  # the marker of a folder
            continue
        if name := hidden(entry["Key"].removeprefix(place.folder)):
            left_out.add(name)
        else:
            files.append(_described(place, entry["Key"], entry["Size"], entry["ETag"]))
    return sorted(files, key=lambda file: file.path), tuple(sorted(left_out))


def single(client: Any, place: Place) -> SourceFile:
    """Returns one object."""
    about = client.head_object(Bucket=place.bucket, Key=place.key)
    return _described(place, place.key, about["ContentLength"], about["ETag"])


def _described(place: Place, key: str, size: int, etag: str) -> SourceFile:
    return SourceFile(f"{place.bucket}/{key}", size, etag.strip('"'))
