"""Takes the rank lists that a candidate must beat: those of the champion, and of simple recommenders that count."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from finest.data.dataset import Dataset
from finest.data.freshness import Seen, nothing_new
from finest.data.schema import Manifest
from finest.errors import FinestError
from finest.memory.config import MemoryConfig
from finest.memory.counts import counted
from finest.models.saved import FACTS
from finest.ranklists import baselines, champion, file, yardsticks
from finest.training.device import choose, prepare
from tracking import registry

SKIPPED = "skipped.txt"
"""Name of the file with the reason, where the run is skipped."""
VERSION = "version"
"""Name of the file beside the champion's weights that says which version they are."""


def skipped(manifest: Manifest, seen: Mapping[str, str], model: Path, lists: Path) -> bool:
    """Tells whether the data has nothing new; `lists` then holds the reason and no lists.

    Args:
        manifest: The data set's manifest.
        seen: What `seen_by` says of the champion; empty where nothing is to be skipped.
        model: Folder of the champion's weights; left empty where the run is skipped.
        lists: Folder of the rank lists.
    """
    last = seen.get("last_timestamp")
    known = Seen(seen["version"], seen["fingerprint"], int(last) if last else None) if seen else None
    if (reason := nothing_new(manifest, known)) is None:
        return False
    for folder in (model, lists):
        folder.mkdir(parents=True, exist_ok=True)
    (lists / SKIPPED).write_text(reason)
    return True


def seen_by(champion: registry.Version) -> dict[str, str]:
    """Returns what is known of a version's data as a pipeline parameter: text, since kfp makes floats of integers."""
    return {
        "version": champion.version,
        "fingerprint": champion.data_fingerprint,
        "last_timestamp": str(champion.last_timestamp or ""),
    }


def score(version: str, registered_model: str, data: Dataset, model: Path, lists: Path) -> None:
    """Writes the champion's weights and the rank lists of all that a candidate must beat.

    Args:
        version: The champion's version; empty where there is none.
        registered_model: Name of the registered model.
        data: The data set.
        model: Folder for the champion's weights; stays empty where there is none.
        lists: Folder for the rank lists.
    """
    model.mkdir(parents=True, exist_ok=True)
    lists.mkdir(parents=True, exist_ok=True)
    file.write(baselines.popularity(data), lists / "popularity.parquet")
    file.write(baselines.repeat_last(data), lists / "repeat_last.parquet")
    for name, listed in yardsticks.lists(data, counted(data, data.training_rows(), MemoryConfig())):
        file.write(listed, lists / f"{name}.parquet")
    if version:
        download(version, registered_model, model)
        # One thread, like every model's lists: more of them differ in rounding, and spin where cores are taken.
        prepare(choose("cpu"))
        theirs, after_cut = champion.score(model, data, version)
        file.write(replace(theirs, after_cut=after_cut), lists / "champion.parquet")


def download(version: str, registered_model: str, model: Path) -> None:
    """Puts a version's weights into the folder `model`. Raises FinestError where production has moved on meanwhile."""
    now = registry.champion(registered_model)
    if now is None or now.version != version:
        raise FinestError(
            f"the champion of {registered_model} is no longer version {version}, which preflight saw; run again"
        )
    package = registry.download(now, model / "package")
    for part in package.iterdir():
        part.rename(model / part.name)
    (model / VERSION).write_text(version)


def saved_champion(model: Path) -> Path | None:
    """Returns the folder of weights that `score` wrote, or None where there is no champion."""
    return model if (model / FACTS).exists() else None
