"""What ingest needs of an engine. The steps between reading and writing are ibis expressions that know none of them."""

from collections.abc import Iterator
from typing import Protocol

import ibis.expr.types as ir
import pyarrow as pa

from finest.data.columns import Layouts
from finest.data.times import Unit


class Engine(Protocol):
    """A place where ibis expressions run; results are the same on each of them."""

    parses_apart: bool
    """Whether parsed rows must be kept before more is computed from them."""

    def read(self, layouts: Layouts, unit: Unit) -> ir.Table:
        """Every row of the files, not yet read: file, record, user, item, text, micros, sequence.

        `record` numbers a file's rows from 0 (a text file's: of those that are not malformed, from an offset that the first has).
        `micros` is a timestamp that the file holds as a number or a time and that is in range; all others are in `text`. Empty
        ids are null. `sequence` is null where no column is mapped to it.
        """

    def reads_again(self, layouts: Layouts) -> bool:
        """Whether reading and parsing the files several times costs less than keeping their rows."""

    def malformed(self) -> pa.Table:
        """Records that no row could be made of, of what was read so far, each once: file, byte (of the fault, from 0), reason."""

    def keep(self, name: str, rows: ir.Table) -> ir.Table:
        """The rows, computed now and kept on disk under `name`."""

    def small(self, rows: ir.Table) -> pa.Table:
        """The rows in memory."""

    def batches(self, rows: ir.Table, by: list[str], among: ir.Table) -> Iterator[pa.RecordBatch]:
        """The rows sorted by these columns, a batch at a time. `among`: a kept table with all of these rows, and maybe more."""


BATCH = 2**17
"""Rows that are handed over at a time."""
MALFORMED = pa.schema([("file", pa.string()), ("byte", pa.int64()), ("reason", pa.string())])
