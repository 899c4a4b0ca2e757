from kfp import dsl

from components.image import step


@step
def finetune(
    interactions: dsl.Input[dsl.Dataset], edits: dsl.Input[dsl.Dataset], bases: dsl.Input[dsl.Model], champion: dsl.Input[dsl.Model],
    shard: str, pretrain: dict, config: dict, checkpoints: str, profile: bool, tuned: dsl.Output[dsl.Model],
):  # fmt: skip
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
    from pathlib import Path

    from components.champion.work import saved_champion
    from components.checkpoints import open_store
    from components.sections import parse
    from components.step import running
    from finest.data.dataset import load
    from finest.perturb.plan import read
    from finest.training.config import Finetune, Pretrain
    from finest.training.finetune import finetune
    from finest.training.profiling import into

    out = Path(tuned.path)
    with running("finetune", shard, checkpoints) as step, into(out, "finetune", profile, Path(bases.path)):
        data, (table, plan) = load(Path(interactions.path)), read(Path(edits.path))
        sections = parse(Pretrain, pretrain, "pretrain"), parse(Finetune, config, "finetune")
        old, store = saved_champion(Path(champion.path)), open_store(checkpoints)
        finetune(data, table, plan, shard, *sections, Path(bases.path), old, store, out, step.report)
    tuned.metadata["shard"] = shard
