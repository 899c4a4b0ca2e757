"""Puts the records of an experiment's cells together."""

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import storage
from finest.errors import DataError
from finest.experiments.pages import PAGE, write
from finest.experiments.results import Results, trainings
from finest.experiments.run import Outcome
from tracking.cells import Cells
from tracking.describe import code_tags


def put_together(experiment: str, keys: Sequence[str], source: str, checkpoints: str, parent: str, page: Path) -> None:
    """Writes and logs the table. The trainings that cells shared go once none is broken.

    Raises:
        DataError: A record is missing.
        FinestError: A cell is broken; the message says which. The table is written all the same.
    """
    store = storage.checkpoint_store(checkpoints)
    found = [(key, Results(store).read(key)) for key in keys]
    if missing := [key for key, record in found if record is None]:
        raise DataError(f"{checkpoints}: the record of cell {missing[0]} is missing; submit the experiment again")
    outcome = Outcome([record for _, record in found if record is not None])
    with tempfile.TemporaryDirectory() as folder:
        text = write(experiment, outcome.records, source, code_tags()["git_commit"], Path(folder))
        shutil.copyfile(Path(folder) / PAGE, page)
        Cells(parent).end(experiment, Path(folder), text, len(outcome.broken))
    outcome.check()
    trainings(store).delete("")
