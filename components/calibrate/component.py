"""Step `calibrate` as a component of the pipeline."""

from kfp import dsl

from components.image import step


@step
def calibrate(
    interactions: dsl.Input[dsl.Dataset],
    champion: dsl.Input[dsl.Model],
    seed: int,
    config: dict,
    checkpoints: str,
    recipe: dsl.Output[dsl.Artifact],
) -> None:
    """Finds how long all variants train and what they are served with, by a training on a validation cut.

    Args:
        interactions: The data set.
        champion: The model in production, to whose weights the new ones are drawn; empty where there is none.
        seed: Seed of the whole run.
        config: Section `pretrain`.
        checkpoints: Folder or URI of the checkpoints.
        recipe: Folder with `recipe.json`: the number of steps, the weights, what was chosen and why.
    """
    from functools import partial
    from pathlib import Path

    from components.calibrate.work import find
    from components.step import running

    with running("calibrate", checkpoints=checkpoints) as step:
        given = Path(interactions.path), Path(champion.path)
        step.train(partial(find, *given, seed, config, checkpoints, Path(recipe.path)))
