"""Measures a cell, in the process that its step watches over."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from components.sections import parse
from finest.experiments.record import Cell, Given
from finest.gate.config import Gate
from finest.perturb.config import Perturb
from finest.training.config import Finetune, Pretrain
from finest.training.progress import Progress, Report


def given(
    pretrain: Mapping[str, Any],
    finetune: Mapping[str, Any],
    perturb: Mapping[str, Any],
    gate: Mapping[str, Any],
    seed: int,
    seeds: int,
) -> Given:
    """Returns what an experiment takes from a config's sections."""
    return Given(
        pretrain=parse(Pretrain, pretrain, "pretrain"),
        finetune=parse(Finetune, finetune, "finetune"),
        perturb=parse(Perturb, perturb, "perturb"),
        max_drop=parse(Gate, gate, "gate").max_accuracy_drop_base,
        seed=seed,
        seeds=seeds,
    )


def measure(cell: Cell, given: Given, data: Path, checkpoints: str, parent: str, key: Path, report: Report) -> None:
    """Measures a cell that no earlier attempt has measured, logs it to MLflow, and writes its key.

    Args:
        cell: The cell.
        given: What the experiment takes from the config.
        data: Folder of the data set.
        checkpoints: Folder or URI of records and checkpoints.
        parent: Id of the pipeline run's parent run in MLflow.
        key: File for the record's key.
        report: Told of progress.
    """
    import storage
    from components.perturb.work import tables
    from finest.data.dataset import load
    from finest.experiments.identity import key_of
    from finest.experiments.results import Results
    from finest.experiments.run import Work, measured
    from tracking.cells import Cells

    store, number = storage.checkpoint_store(checkpoints), 0

    def told(text: str) -> None:
        nonlocal number
        number += 1
        report(Progress(0.0, text, cell.name.replace(" ", "-"), "cell", number, 0.0, resumed=True, of="the cell"))

    work = Work(cell, key_of(cell, given, load(data).manifest), given, data, store, tables(given.perturb))
    record = Results(store).read(work.key)
    if record is None or record.state != "finished":
        record = measured(work, told)
    Cells(parent).add(record)
    key.write_text(record.key)
