"""Delta tables: a folder of Parquet files, and the log that says which of them count."""

import json
import re
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.fs as pafs

from finest.errors import ConfigError, DataError, first_line
from storage.source import Source

LOG = "_delta_log"
"""Folder of a table's log."""
COMMIT = re.compile(r"^(\d{20})\.(?:json|.*checkpoint.*)$|^\d{20}\.\d{20}\.compacted\.json$")
"""A file of the log with its version: a commit, or the whole state at it."""

MANY = 500
"""Number of brackets in a line of the log from which on it is looked at before anybody else reads it."""
VECTORS = re.compile(r"(?:^|/)deletion_vector[^/]*\.bin$")
"""Finds files of deletion vectors, which lie beside the data."""


def live(source: Source) -> Source:
    """Returns the files of a Delta table that count at its newest version.

    The log alone is copied and read by deltalake; the files stay where they are, and so do credentials. The listing
    holds their names, sizes and etags as of any folder, so that a later version with the same files is the same source.

    Raises:
        ConfigError: deltalake is not installed.
        DataError: The log cannot be read, a file of the table is gone, or its rows are not what its files hold: it has
            deletion vectors, or columns under other names.
    """
    try:
        import deltalake
        from deltalake.exceptions import DeltaError
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"{source.uri}: a Delta table, whose files hold deleted rows too; pip install 'finest[delta]' to read it"
        ) from error
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary).resolve()
        try:
            _copy_log(source, folder)
            table = deltalake.DeltaTable(str(folder))
            _require_plain(source, table)
            version, found = table.version(), table.file_uris()
        except (DeltaError, OSError, ValueError) as error:
            if isinstance(error, OSError) and source.passing(error):
                raise
            raise DataError(f"{source.uri}: the Delta table's log cannot be read ({first_line(error)})") from error
    prefix = f"{folder}/"
    if elsewhere := [uri for uri in found if not uri.startswith(prefix)]:
        raise DataError(
            f"{source.uri}: {len(elsewhere)} files of the Delta table lie outside of its folder (a shallow clone?), "
            f"the first is {elsewhere[0]}; write a full copy of the table"
        )
    there = {file.path.removeprefix(source.root).lstrip("/"): file for file in source.files}
    names = sorted(uri.removeprefix(prefix) for uri in found)
    if gone := [name for name in names if name not in there]:
        raise DataError(
            f"{source.uri}: {len(gone)} of {len(names)} files of version {version} of the Delta table are gone, the "
            f"first is {gone[0]}; restore them, or the table to a version that has its files"
        )
    if not names:
        raise DataError(f"{source.uri}: version {version} of the Delta table holds no rows")
    return replace(source, files=[there[name] for name in names], table=f"Delta table, version {version}")


def _copy_log(source: Source, folder: Path) -> None:
    """Copies the log from its newest whole state on, and the deletion vectors: what the newest version is told from."""
    below = pafs.FileSelector(f"{source.root}/{LOG}", recursive=True)
    paths = [info.path for info in source.filesystem.get_file_info(below) if info.type == pafs.FileType.File]
    names = {path.removeprefix(below.base_dir).lstrip("/"): path for path in paths}
    newest = max((int(name[:20]) for name in names if re.match(r"\d{20}\.checkpoint\.", name)), default=0)
    wanted = {
        f"{LOG}/{name}": path
        for name, path in names.items()
        if name == "_last_checkpoint"
        or name.startswith("_sidecars/")
        or ((found := COMMIT.match(name)) and int(found[1] or newest) >= newest)
    }
    for file in source.files:
        if VECTORS.search(file.path):
            wanted[file.path.removeprefix(source.root).lstrip("/")] = file.path
    for name, path in wanted.items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        with source.filesystem.open_input_stream(path, compression=None) as stream:
            content = stream.read()
        if name.endswith(".json"):
            _require_flat(content)
        target.write_bytes(content)


def _require_flat(commit: bytes) -> None:
    """Raises ValueError for JSON that is nested without end, of which deltalake's reader dies."""
    for line in commit.splitlines():
        if line.count(b"[") + line.count(b"{") > MANY:
            try:
                json.loads(line)
            except RecursionError:
                raise ValueError("its JSON is nested too deeply") from None


def _require_plain(source: Source, table: Any) -> None:
    """Raises DataError where the live files do not hold just the table's rows, under the table's names."""
    if table.metadata().configuration.get("delta.columnMapping.mode", "none") != "none":
        raise DataError(
            f"{source.uri}: the Delta table maps its columns to other names in its files (delta.columnMapping.mode); "
            "write a copy without that"
        )
    vectors = table.deletion_vectors().read_all().num_rows
    if vectors:
        raise DataError(
            f"{source.uri}: {vectors} files of the Delta table hold rows that deletion vectors take away; write them "
            "anew first: REORG TABLE ... APPLY (PURGE)"
        )
