"""Pretrains, in the process that its step watches over.

Its imports, and reading the config, are for that process alone: the step needs no torch, which a model's config loads.
"""

from pathlib import Path
from typing import Any

from finest.training.progress import Report


def train(
    interactions: Path,
    edits: Path,
    recipe: Path,
    group: str,
    config: dict[str, Any],
    checkpoints: str,
    profile: bool,
    bases: Path,
    report: Report,
) -> None:
    """Trains a group's variants and writes their folder `bases`."""
    from components.checkpoints import open_store
    from components.sections import parse
    from finest.data.dataset import load
    from finest.perturb.plan import read_plan
    from finest.profiling.profiler import into
    from finest.training.config import Pretrain
    from finest.training.pretrain import pretrain
    from finest.training.recipe import Recipe

    section = parse(Pretrain, config, "pretrain")
    with into(bases, "pretrain", profile):
        data, (table, plan) = load(interactions), read_plan(edits)
        pretrain(data, table, plan, group, section, open_store(checkpoints), bases, report, Recipe.read(recipe))
