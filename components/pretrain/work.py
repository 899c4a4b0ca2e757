"""Pretrains, in the process that its step watches over.

Its imports are for that process alone: the step needs no torch.
"""

from pathlib import Path

from finest.training.config import Pretrain
from finest.training.progress import Report


def train(
    interactions: Path,
    edits: Path,
    group: str,
    config: Pretrain,
    checkpoints: str,
    profile: bool,
    bases: Path,
    report: Report,
) -> None:
    """Trains a group's variants and writes their folder `bases`."""
    from components.checkpoints import open_store
    from finest.data.dataset import load
    from finest.perturb.plan import read_plan
    from finest.profiling.profiler import into
    from finest.training.pretrain import pretrain

    with into(bases, "pretrain", profile):
        data, (table, plan) = load(interactions), read_plan(edits)
        pretrain(data, table, plan, group, config, open_store(checkpoints), bases, report)
