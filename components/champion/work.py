"""What a candidate must beat: rank lists of the champion, of popularity and of repeat-last on today's instances."""

from dataclasses import replace
from pathlib import Path

from finest.data.dataset import Dataset
from finest.errors import FinestError
from finest.lists import baselines, champion, file
from finest.models.saved import FACTS
from tracking import registry

VERSION = "version"
"""File beside the champion's weights: which version they are."""


def score(version: str, registered_model: str, data: Dataset, model: Path, lists: Path) -> None:
    """Writes the champion's model folder to `model` and all rank lists to `lists`; an empty `version` is no champion, an empty folder."""
    model.mkdir(parents=True, exist_ok=True)
    lists.mkdir(parents=True, exist_ok=True)
    file.write(baselines.popularity(data), lists / "popularity.parquet")
    file.write(baselines.repeat_last(data), lists / "repeat_last.parquet")
    if version:
        download(version, registered_model, model)
        theirs, after_cut = champion.score(model, data, version)
        file.write(replace(theirs, after_cut=after_cut), lists / "champion.parquet")


def download(version: str, registered_model: str, model: Path) -> None:
    """Puts a version's weights into the folder `model`. Raises FinestError where production has moved on meanwhile."""
    now = registry.champion(registered_model)
    if now is None or now.version != version:
        raise FinestError(f"the champion of {registered_model} is no longer version {version}, which preflight saw; run again")
    package = registry.download(now, model / "package")
    for part in package.iterdir():
        part.rename(model / part.name)
    (model / VERSION).write_text(version)


def saved_champion(model: Path) -> Path | None:
    """The folder that `score` wrote, or None where there is no champion."""
    return model if (model / FACTS).exists() else None
