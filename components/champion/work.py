"""What a candidate must beat: rank lists of the champion, of popularity and of repeat-last on today's instances."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from finest.data.dataset import Dataset
from finest.data.freshness import Seen, nothing_new
from finest.data.schema import Manifest
from finest.errors import FinestError
from finest.models.saved import FACTS
from finest.ranklists import baselines, champion, file
from finest.training.device import choose, prepare
from tracking import registry

SKIPPED = "skipped.txt"
"""File with the reason where the run is skipped."""
VERSION = "version"
"""File beside the champion's weights: which version they are."""


def skipped(manifest: Manifest, seen: Mapping[str, str], model: Path, lists: Path) -> bool:
    """Whether the data has nothing new; `lists` then holds the reason and no lists. `seen`: see `seen_by`."""
    last = seen.get("last_timestamp")
    known = Seen(seen["version"], seen["fingerprint"], int(last) if last else None) if seen else None
    if (reason := nothing_new(manifest, known)) is None:
        return False
    for folder in (model, lists):
        folder.mkdir(parents=True, exist_ok=True)
    (lists / SKIPPED).write_text(reason)
    return True


def seen_by(champion: registry.Version) -> dict[str, str]:
    """What is known of a version's data, as a pipeline parameter: text alone, since kfp makes numbers of integers."""
    return {
        "version": champion.version,
        "fingerprint": champion.data_fingerprint,
        "last_timestamp": str(champion.last_timestamp or ""),
    }


def score(version: str, registered_model: str, data: Dataset, model: Path, lists: Path) -> None:
    """Writes the champion's model folder to `model` and all rank lists to `lists`; an empty `version` is no champion, an empty folder."""
    model.mkdir(parents=True, exist_ok=True)
    lists.mkdir(parents=True, exist_ok=True)
    file.write(baselines.popularity(data), lists / "popularity.parquet")
    file.write(baselines.repeat_last(data), lists / "repeat_last.parquet")
    if version:
        download(version, registered_model, model)
        prepare(
            choose("cpu")
        )  # one thread, like every model's lists: more of them differ in rounding, and spin where cores are taken
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
    """The folder that `score` wrote, or None where there is no champion."""
    return model if (model / FACTS).exists() else None
