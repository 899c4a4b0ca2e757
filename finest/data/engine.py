"""What ingest needs of an engine. The steps between reading and writing are ibis expressions that know no engine."""

from collections.abc import Iterator
from typing import Protocol

import ibis.expr.types as ir
import pyarrow as pa

from finest.data.forms import TimestampUnit
from finest.data.layout import Layouts
from finest.errors import DataError


class Engine(Protocol):
    """Runs ibis expressions; results are the same on every engine."""

    parses_apart: bool
    """Whether parsed rows must be kept before more is computed from them."""

    def read(self, layouts: Layouts, unit: TimestampUnit) -> ir.Table:
        """Returns every row of the files, not yet read.

        Args:
            layouts: The files, by how they are read.
            unit: Unit of numeric timestamps.

        Returns:
            `file`; `record`, which numbers a file's rows from 0 (a text file's: those that are not malformed, from an
            offset that the first one has); `user` and `item`, null where they are empty; `micros`, microseconds of a
            timestamp that the file holds as a number or a time and that is in range; `text`, every other timestamp;
            `sequence`, null where no column is mapped to it; `segment_0`, ..., text, where columns are mapped to
            segments; FAULT, where a layout has it.
        """

    def reads_again(self, layouts: Layouts) -> bool:
        """Tells whether reading and parsing the files several times costs less than keeping their rows."""

    def malformed(self) -> pa.Table:
        """Returns the records, of all that was read so far, that no row could be made of, in MALFORMED; each once."""

    def hold(self, name: str, rows: pa.Table) -> ir.Table:
        """Returns a table of rows that are in memory."""

    def keep(self, name: str, rows: ir.Table) -> ir.Table:
        """Computes the rows, keeps them on disk under `name` and returns the table that is read from there."""

    def small(self, rows: ir.Table) -> pa.Table:
        """Computes the rows and returns them in memory."""

    def batches(self, rows: ir.Table, by: list[str], among: ir.Table) -> Iterator[pa.RecordBatch]:
        """Yields the rows in order, a batch at a time.

        Args:
            rows: The rows.
            by: Columns to sort by.
            among: A kept table with all of these rows, and maybe more.
        """


class AsItIsError(DataError):
    """Means that a file cannot be read as it is, and perhaps as a copy.

    That is Parquet whose text is not UTF-8, where a copy tells which rows, or text with line ends of several kinds.
    """


BATCH = 2**17
"""Number of rows that are handed over at a time."""
MALFORMED = pa.schema([("file", pa.string()), ("byte", pa.int64()), ("reason", pa.string())])
"""Columns of a malformed record: its file, the byte of the fault from 0, and what is wrong with it."""
