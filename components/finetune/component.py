"""Step `finetune` as a component of the pipeline."""

from kfp import dsl

from components.image import step


@step
def finetune(
    interactions: dsl.Input[dsl.Dataset],
    edits: dsl.Input[dsl.Dataset],
    bases: dsl.Input[dsl.Model],
    champion: dsl.Input[dsl.Model],
    group: str,
    pretrain: dict,
    config: dict,
    checkpoints: str,
    profile: bool,
    tuned: dsl.Output[dsl.Model],
) -> None:
    """Fine-tunes a group's base models with FINEST.

    Args:
        interactions: The data set.
        edits: The edit table and the plan of trainings.
        bases: The group's base models.
        champion: The model in production; empty where there is none.
        group: Id of the group.
        pretrain: Section `pretrain`, for the model, its batches and the device.
        config: Section `finetune`.
        checkpoints: Folder or URI of the checkpoints.
        profile: Whether to profile the trainings.
        tuned: Folder of rank lists with and without FINEST, training histories, costs, and the candidate's model.
    """
    from functools import partial
    from pathlib import Path

    from components.finetune.work import train
    from components.step import running

    with running("finetune", group, checkpoints) as step:
        data, models = (Path(interactions.path), Path(edits.path)), (Path(bases.path), Path(champion.path))
        step.train(partial(train, *data, group, pretrain, config, *models, checkpoints, profile, Path(tuned.path)))
    tuned.metadata["group"] = group
