"""Iceberg tables by their metadata file, which says which Parquet files count in the newest snapshot."""

import re
from dataclasses import replace
from typing import Any
from urllib.parse import unquote, urlsplit

import pyarrow.fs as pafs

from finest.data.source import SourceFile
from finest.errors import ConfigError, DataError, first_line
from storage.source import Source

ENDING = ".metadata.json"
"""Ending of a metadata file's name."""


def number(path: str) -> tuple[int, str]:
    """Returns the number in a metadata file's name, by which a newer one is greater.

    >>> number("t/metadata/v12.metadata.json")[0], number("t/metadata/00007-f3c1.metadata.json")[0]
    (12, 7)
    """
    found = re.match(r"v?([0-9]+)", path.rpartition("/")[2])
    return (int(found[1]) if found else -1, path)


def live(source: Source) -> Source:
    """Returns the Parquet files of the current snapshot of the table whose metadata file is the source.

    Raises:
        ConfigError: pyiceberg is not installed, or the table is not on this machine.
        DataError: The table cannot be read, or its rows are not what its files hold: some are deleted by other files, a
            column was renamed, or files are not Parquet.
    """
    if not isinstance(source.filesystem, pafs.LocalFileSystem):
        raise ConfigError(
            f"{source.uri}: Iceberg tables are read from this machine only; export the snapshot to Parquet there"
        )
    try:
        from pyiceberg.table import StaticTable
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"{source.uri}: the metadata of an Iceberg table; pip install 'finest[iceberg]' to read it"
        ) from error
    try:
        table = StaticTable.from_metadata(source.files[0].path)
        snapshot = table.current_snapshot()
        tasks = list(table.scan().plan_files())
    except Exception as error:  # whatever its parsers and file systems raise
        raise DataError(f"{source.uri}: the Iceberg table cannot be read ({first_line(error)})") from error
    if snapshot is None or not tasks:
        raise DataError(f"{source.uri}: the Iceberg table holds no rows")
    _require_plain(source, table, tasks)
    files = sorted((_described(source, task.file.file_path) for task in tasks), key=lambda file: file.path)
    root = urlsplit(str(table.location())).path if "://" in table.location() else table.location()
    return replace(
        source, root=unquote(root).rstrip("/"), files=files, table=f"Iceberg table, snapshot {snapshot.snapshot_id}"
    )


def _require_plain(source: Source, table: Any, tasks: list[Any]) -> None:
    """Raises DataError where the live files do not hold just the table's rows, under the table's names."""
    if deletes := sum(bool(task.delete_files) for task in tasks):
        raise DataError(
            f"{source.uri}: {deletes} files of the Iceberg table hold rows that other files delete; write them anew "
            "first: CALL system.rewrite_data_files with delete-file-threshold => 1"
        )
    if others := [task.file.file_path for task in tasks if task.file.file_format.value != "PARQUET"]:
        raise DataError(f"{source.uri}: {others[0]} of the Iceberg table is no Parquet; rewrite it as Parquet")
    names = dict[int, set[str]]()
    for schema in table.metadata.schemas:
        for field in schema.fields:
            names.setdefault(field.field_id, set()).add(field.name)
    numbers = [name for found in names.values() for name in found]
    if changed := [
        name for found in names.values() for name in sorted(found) if len(found) > 1 or numbers.count(name) > 1
    ]:
        raise DataError(
            f"{source.uri}: the Iceberg table's column {changed[0]} was renamed or made anew, and older files hold it "
            "as it was; rewrite its data files"
        )


def _described(source: Source, uri: str) -> SourceFile:
    path = unquote(urlsplit(uri).path) if uri.startswith("file:") else uri
    info = source.filesystem.get_file_info(path)
    if info.type != pafs.FileType.File:
        raise DataError(f"{source.uri}: {path} of the Iceberg table is gone; restore it, or an older metadata file")
    return SourceFile(path, info.size, str(info.mtime_ns))
