"""Step `perturb` as a component of the pipeline."""

from kfp import dsl

from components.image import step


@step
def perturb(
    interactions: dsl.Input[dsl.Dataset], seed: int, config: dict, checkpoints: str, edits: dsl.Output[dsl.Dataset]
) -> list[str]:
    """Plans every scenario's edits and deals the variants (clean, probes, controls) to groups.

    Args:
        interactions: The data set.
        seed: Seed of the whole run.
        config: Section `perturb`, with the digests of its edit files.
        checkpoints: Folder or URI of the checkpoints, where errors that are final are remembered.
        edits: The edit table and the plan of trainings: folder of `edits.parquet` and `plan.json`.

    Returns:
        Output: The groups' ids, which the pipeline loops over.
    """
    from pathlib import Path

    from components.perturb.work import tables
    from components.sections import parse
    from components.step import running
    from finest.data.dataset import load
    from finest.perturb.config import Perturb
    from finest.perturb.plan import plan, write_plan
    from tracking.runs import log_plan

    with running("perturb", checkpoints=checkpoints):
        section = parse(Perturb, config, "perturb")
        table, trainings = plan(load(Path(interactions.path)), section, seed, tables(section))
        write_plan(table, trainings, Path(edits.path))
        log_plan(trainings)
        return [group.id for group in trainings.groups]
