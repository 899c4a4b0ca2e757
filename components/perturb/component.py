"""Step `perturb` as a component of the pipeline."""

from kfp import dsl

from components.image import step


@step
def perturb(
    interactions: dsl.Input[dsl.Dataset], seed: int, config: dict, checkpoints: str, edits: dsl.Output[dsl.Dataset]
) -> list[str]:
    """Plans every scenario's edits and deals the variants to groups. Returns the groups' ids.

    Args:
        interactions: The data set.
        seed: Of the whole run.
        config: Section `perturb`.
        checkpoints: Folder or URI of the checkpoints, where errors that are final are remembered.
        edits: The edit table and the plan of trainings.
    """
    from pathlib import Path

    from components.sections import parse
    from components.step import running
    from finest.data.dataset import load
    from finest.perturb.config import Perturb
    from finest.perturb.plan import plan, write
    from tracking.runs import log_plan

    with running("perturb", checkpoints=checkpoints):
        table, trainings = plan(load(Path(interactions.path)), parse(Perturb, config, "perturb"), seed)
        write(table, trainings, Path(edits.path))
        log_plan(trainings)
        return [group.id for group in trainings.groups]
