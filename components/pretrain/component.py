from kfp import dsl

from components.image import step


@step
def pretrain(
    interactions: dsl.Input[dsl.Dataset], edits: dsl.Input[dsl.Dataset], shard: str, config: dict, checkpoints: str,
    profile: bool, bases: dsl.Output[dsl.Model],
):  # fmt: skip
    """Trains a shard's variants from random weights.

    Args:
        interactions: The data set.
        edits: The edit table and the plan of trainings.
        shard: Id of the shard.
        config: Section `pretrain`.
        checkpoints: Folder or URI of the checkpoints.
        profile: Whether to profile it.
        bases: Base models, their rank lists and histories.
    """
    from pathlib import Path

    from components.checkpoints import open_store
    from components.sections import parse
    from components.step import running
    from finest.data.dataset import load
    from finest.perturb.plan import read
    from finest.training.config import Pretrain
    from finest.training.pretrain import pretrain
    from finest.training.profiling import into

    with running("pretrain", shard, checkpoints) as step, into(Path(bases.path), "pretrain", profile):
        data, (table, plan) = load(Path(interactions.path)), read(Path(edits.path))
        pretrain(data, table, plan, shard, parse(Pretrain, config, "pretrain"), open_store(checkpoints), Path(bases.path), step.report)
    bases.metadata["shard"] = shard
