from kfp import dsl

from components.image import step


@step
def finetune(
    interactions: dsl.Input[dsl.Dataset],
    edits: dsl.Input[dsl.Dataset],
    bases: dsl.Input[dsl.Model],
    champion: dsl.Input[dsl.Model],
    shard: str,
    pretrain: dict,
    config: dict,
    checkpoints: str,
    profile: bool,
    tuned: dsl.Output[dsl.Model],
):
    """Fine-tunes a shard's base models with FINEST.

    Args:
        interactions: The data set.
        edits: The edit table and the plan of trainings.
        bases: The shard's base models.
        champion: The model in production; empty where there is none.
        shard: Id of the shard.
        pretrain: Section `pretrain`, for the model, its batches and the device.
        config: Section `finetune`.
        checkpoints: Folder or URI of the checkpoints.
        profile: Whether to profile it.
        tuned: Rank lists with and without FINEST, histories, and the tuned model of the clean variant.
    """
    from functools import partial
    from pathlib import Path

    from components.finetune.work import train
    from components.sections import parse
    from components.step import running
    from finest.training.config import Finetune, Pretrain

    with running("finetune", shard, checkpoints) as step:
        data, models = (Path(interactions.path), Path(edits.path)), (Path(bases.path), Path(champion.path))
        sections = parse(Pretrain, pretrain, "pretrain"), parse(Finetune, config, "finetune")
        step.train(partial(train, *data, shard, *sections, *models, checkpoints, profile, Path(tuned.path)))
    tuned.metadata["shard"] = shard
