"""Keeps what came of cells, by their keys, where another attempt finds it."""

import logging
import tempfile
from pathlib import Path

from pydantic import ValidationError

from finest.experiments.record import Record
from finest.training.store import Store
from finest.tuning.shelf import Shelf

CELLS, TRAININGS = "experiments/cells/", "experiments/trainings/"
"""Where records and checkpoints are, in a place for checkpoints."""

logger = logging.getLogger(__name__)


def trainings(store: Store) -> Shelf:
    """Returns the place of the trainings that cells share."""
    return Shelf(store, TRAININGS)


class Results:
    """Reads and writes records. Each is stamped: one that is damaged is removed, and its cell measured again."""

    def __init__(self, store: Store):
        self.store = store

    def read(self, key: str) -> Record | None:
        """Returns what came of the cell of that key; None where nothing is known."""
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "record"
            if not self._shelf(key).noted("record", file):
                return None
            try:
                return Record.model_validate_json(file.read_bytes())
            except ValidationError:  # of another version, whose key is the same
                logger.warning("the record %s is of another version; its cell is measured again", key)
                return None

    def write(self, record: Record) -> None:
        """Writes a record in place of what was known."""
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "record"
            file.write_text(record.model_dump_json())
            self._shelf(record.key).note("record", file)

    def _shelf(self, key: str) -> Shelf:
        return Shelf(self.store, f"{CELLS}{key}/")
