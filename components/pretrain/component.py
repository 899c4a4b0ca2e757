"""Step `pretrain` as a component of the pipeline."""

from kfp import dsl

from components.image import step


@step
def pretrain(
    interactions: dsl.Input[dsl.Dataset],
    edits: dsl.Input[dsl.Dataset],
    recipe: dsl.Input[dsl.Artifact],
    group: str,
    config: dict,
    checkpoints: str,
    profile: bool,
    bases: dsl.Output[dsl.Model],
) -> None:
    """Trains a group's variants from random weights.

    Args:
        interactions: The data set.
        edits: The edit table and the plan of trainings.
        recipe: What all variants are served with.
        group: Id of the group.
        config: Section `pretrain`.
        checkpoints: Folder or URI of the checkpoints.
        profile: Whether to profile the trainings.
        bases: Folder of the base models, their rank lists, training histories and `group.json`.
    """
    from functools import partial
    from pathlib import Path

    from components.pretrain.work import train
    from components.step import running

    with running("pretrain", group, checkpoints) as step:
        data = Path(interactions.path), Path(edits.path), Path(recipe.path)
        step.train(partial(train, *data, group, config, checkpoints, profile, Path(bases.path)))
    bases.metadata["group"] = group
