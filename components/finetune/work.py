"""Fine-tunes, in the process that its step watches over.

Its imports, and reading the config, are for that process alone: the step needs no torch, which a model's config loads.
"""

from pathlib import Path
from typing import Any

from finest.training.progress import Report


def train(
    interactions: Path,
    edits: Path,
    group: str,
    pretrain: dict[str, Any],
    config: dict[str, Any],
    bases: Path,
    champion: Path,
    checkpoints: str,
    profile: bool,
    tuned: Path,
    report: Report,
) -> None:
    """Fine-tunes a group's base models and writes their folder `tuned`."""
    from components.champion.work import saved_champion
    from components.checkpoints import open_store
    from components.sections import parse
    from finest.data.dataset import load
    from finest.perturb.plan import read_plan
    from finest.profiling.profiler import into
    from finest.training.config import Finetune, Pretrain
    from finest.training.finetune import finetune

    sections = parse(Pretrain, pretrain, "pretrain"), parse(Finetune, config, "finetune")
    with into(tuned, "finetune", profile, bases):
        data, (table, plan) = load(interactions), read_plan(edits)
        old, store = saved_champion(champion), open_store(checkpoints)
        finetune(data, table, plan, group, *sections, bases, old, store, tuned, report)
