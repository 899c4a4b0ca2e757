"""Calibrates, in the process that its step watches over.

Its imports, and reading the config, are for that process alone: the step needs no torch, which a model's config loads.
"""

from pathlib import Path
from typing import Any

from finest.training.progress import Report


def find(
    interactions: Path,
    champion: Path,
    seed: int,
    config: dict[str, Any],
    checkpoints: str,
    recipe: Path,
    report: Report,
) -> None:
    """Trains on a validation cut and writes the folder `recipe`."""
    from components.champion.work import saved_champion
    from components.checkpoints import open_store
    from components.sections import parse
    from finest.data.dataset import load
    from finest.training.calibrate import calibrate
    from finest.training.config import Pretrain

    section, old, store = parse(Pretrain, config, "pretrain"), saved_champion(champion), open_store(checkpoints)
    calibrate(load(interactions), section, seed, old, store, recipe, report)
