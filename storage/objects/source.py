"""From a place on an object store to the files that lie there."""

import pyarrow.fs as pafs

from finest.data.source import SourceFile
from finest.errors import DataError
from storage.objects.place import Place
from storage.source import Source, hidden, without_files


def resolve(place: Place) -> Source:
    """Returns an object, or the objects below a prefix at any depth, but for hidden ones and markers of folders.

    Everything that can be refused is asked for here, before an engine reads: credentials, bucket, listing, and reading
    of the first object.

    Raises:
        DataError: Nothing lies there.
        FinestError: The server refuses; one line.
    """
    with place.explained():
        root = place.path
        names = [(info, hidden(info.path.removeprefix(root).lstrip("/"))) for info in place.files()]
        found, left_out = [info for info, name in names if not name], tuple(sorted({name for _, name in names if name}))
        if not found and place.key and not place.uri.endswith("/"):
            info = place.ask(lambda: place.filesystem.get_file_info(place.path))
            if info.type == pafs.FileType.File:
                found, root = [info], place.path.rpartition("/")[0]
        if not found:
            raise DataError(f"{place.uri}: no files lie there{without_files(left_out)}")
        files = sorted((_described(info) for info in found), key=lambda file: file.path)
        try:
            place.ask(lambda: place.filesystem.open_input_file(files[0].path).read(1))
        except FileNotFoundError:
            raise DataError(
                f"{place.uri}: {files[0].path} was removed after it was listed; run again once nothing writes there"
            ) from None
    return Source(place.uri, root, place.filesystem, files, place.passing, left_out)


def _described(info: pafs.FileInfo) -> SourceFile:
    """Describes an object; the time of its last change stands for an etag, which pyarrow does not list."""
    return SourceFile(info.path, info.size, str(info.mtime_ns))
