"""Parquet files of ours: written with a checksum of every page, and read in a way that finds what does not fit it."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from finest.errors import DataError


def write(table: pa.Table, path: Path) -> None:
    """Writes a table."""
    pq.write_table(table, path, write_page_checksum=True)


def read(path: Path, columns: list[str] | None = None) -> pa.Table:
    """Returns a table, or some columns of it.

    Raises:
        FileNotFoundError: There is no such file.
        DataError: It cannot be read, or a page of it is not what was written.
    """
    try:
        table = pq.read_table(path, columns=columns, page_checksum_verification=True)
        _ = table.schema.names  # bytes until they are asked for
        return table
    except FileNotFoundError:
        raise
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"{path}: cannot be read as Parquet ({' '.join(str(error).split())}); let the step that wrote it run again"
        ) from error
