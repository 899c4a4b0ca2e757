"""From what lies at a place to the table that it is."""

import re
from pathlib import Path

import pyarrow.fs as pafs

from finest.errors import DataError
from storage.source import Source
from storage.tables import delta, iceberg

METADATA = re.compile(r"(?:^|/)metadata/[^/]+\.metadata\.json$")
"""Finds the metadata files of an Iceberg table among the files below its folder."""


def as_table(source: Source) -> Source:
    """Returns the live files of a table, and a source of plain files as it is.

    Read as plain files, a table has every row that was ever deleted, or twice what was rewritten.

    Raises:
        ConfigError: What reads such tables is not installed.
        DataError: It cannot be read as a table, or tables lie deeper than the source.
    """
    logs = [name for name in source.left_out if name.rpartition("/")[2] == delta.LOG]
    if delta.LOG in logs:
        return delta.live(source)
    if logs:
        raise DataError(f"{source.uri}: {logs[0].rpartition('/')[0]} is a Delta table; give a table's own folder")
    if any(name.rpartition("/")[2] == ".hoodie" for name in source.left_out):
        raise DataError(
            f"{source.uri}: a Hudi table, whose files hold older versions of rows; write a snapshot of it as Parquet"
        )
    if len(source.files) == 1 and source.files[0].path.endswith(iceberg.ENDING):
        return iceberg.live(source)
    if found := [file.path for file in source.files if METADATA.search(file.path)]:
        raise DataError(
            f"{source.uri}: an Iceberg table, whose catalog knows the newest of {len(found)} metadata file(s); give "
            f"that file as the source, perhaps {max(found, key=iceberg.number)}"
        )
    if isinstance(source.filesystem, pafs.LocalFileSystem):
        for folder in (Path(source.root), *Path(source.root).parents):
            if (folder / delta.LOG).is_dir():
                raise DataError(
                    f"{source.uri}: lies in the Delta table {folder}, which alone knows what counts; give that"
                )
    return source
