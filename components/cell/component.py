"""Step `cell` as a component of the pipeline of an experiment."""

from kfp import dsl

from components.image import step


@step
def cell(
    interactions: dsl.Input[dsl.Dataset],
    cell: str,
    seeds: int,
    seed: int,
    pretrain: dict,
    finetune: dict,
    perturb: dict,
    gate: dict,
    checkpoints: str,
) -> str:
    """Measures one cell of an experiment, and keeps its record in the checkpoints' place.

    A cell that is broken says so in its record, and the step ends well, so that the others go on.

    Args:
        interactions: The data set.
        cell: The cell, as JSON.
        seeds: Number of seeds.
        seed: The first seed.
        pretrain: Section `pretrain`.
        finetune: Section `finetune`.
        perturb: Section `perturb`.
        gate: Section `gate`.
        checkpoints: Folder or URI of records and checkpoints, where an earlier attempt's are found.

    Returns:
        Output: Key of the record.
    """
    import tempfile
    from functools import partial
    from pathlib import Path

    from components.cell.work import given, measure
    from components.step import running
    from finest.experiments.record import Cell

    known = Cell.model_validate_json(cell)
    taken = given(pretrain, finetune, perturb, gate, seed, seeds)
    with running("cell", known.name) as step, tempfile.TemporaryDirectory() as folder:
        key = Path(folder) / "key"
        step.train(partial(measure, known, taken, Path(interactions.path), checkpoints, step.run.parent, key))
        return key.read_text()
