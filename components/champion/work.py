"""Takes the champion from the registry, and holds its data against tonight's."""

from collections.abc import Mapping
from pathlib import Path

from components.promote.config import Promote
from finest import sealed
from finest.data.freshness import Seen, nothing_new
from finest.data.schema import Manifest
from finest.errors import DataError, FinestError
from finest.models.folder import FACTS
from finest.ranklists.shared import Shared, shared
from tracking import registry

SKIPPED = "skipped.txt"
"""Name of the file with the reason, where the run is skipped."""
VERSION = "version"
"""Name of the file beside the champion's weights that says which version they are."""


def known(seen: Mapping[str, str]) -> Seen | None:
    """Returns what `seen_by` says of the champion; None of nothing."""
    last = seen.get("last_timestamp")
    return Seen(seen["version"], seen["fingerprint"], int(last) if last else None) if seen else None


def skipped(manifest: Manifest, seen: Seen | None, lists: Path) -> bool:
    """Tells whether the data has nothing new; `lists` then holds the reason and no lists.

    Args:
        manifest: The data set's manifest.
        seen: What is known of the champion's data; None where nothing is to be skipped.
        lists: Folder of the rank lists.
    """
    if (reason := nothing_new(manifest, seen)) is None:
        return False
    lists.mkdir(parents=True, exist_ok=True)
    (lists / SKIPPED).write_text(reason)
    sealed.seal(lists)
    return True


def seen_by(champion: registry.Version) -> dict[str, str]:
    """Returns what is known of a version's data as a pipeline parameter: text, since kfp makes floats of integers."""
    return {
        "version": champion.version,
        "fingerprint": champion.data_fingerprint,
        "last_timestamp": str(champion.last_timestamp or ""),
    }


def download(version: str, line: str, data: Path, config: Promote, model: Path) -> Shared | None:
    """Puts a line's champion into the folder `model`, which stays empty where there is none.

    Returns what its data shares with tonight's; None where there is none.

    Args:
        version: The champion's version; empty where there is none.
        line: Name of the line.
        data: Folder of the data set.
        config: What it must share with the champion's.
        model: Folder for the champion's weights.

    Raises:
        FinestError: Production has moved on meanwhile.
        DataError: The data is not that of this line.
        DamagedError: It is not what ingest wrote, or the package not what was packed.
    """
    model.mkdir(parents=True, exist_ok=True)
    if not version:
        sealed.seal(model)
        return None
    sealed.check_own(data)
    now = registry.champion(line)
    if now is None or now.version != version:
        raise FinestError(f"the champion of {line} is no longer version {version}, which preflight saw; run again")
    package = registry.download(now, model / "package")
    for part in package.iterdir():
        part.rename(model / part.name)
    found = shared(model, data)
    check(found, config, now)
    (model / VERSION).write_text(version)
    sealed.seal(model)
    return found


def check(found: Shared, config: Promote, champion: registry.Version) -> None:
    """Checks that a data set is of the champion's line. Raises DataError, which says how much they share."""
    asked = {
        "items": (found.items, config.min_shared_items),
        "users": (found.users, config.min_shared_users),
        "moments": (found.moments, config.min_shared_moments),
    }
    words = {"moments": "last interactions of the users in common"}
    said = [
        f"{one.there} of its {one.of} {words.get(key, key)} ({one.value:.1%}; promote.min_shared_{key}: {least:g})"
        for key, (one, least) in asked.items()
        if one.value < least
    ]
    if said:
        trained = f", was trained on {champion.source} and" if champion.source else ""
        raise DataError(
            f"this is not the data of the line {champion.name}: its champion, version {champion.version}{trained} "
            f"shares only {' and '.join(said)} with it; nothing was compared, and the champion stays: give this data "
            "a name of its own (--name), or start the line over with it (--rebase)"
        )


def saved_champion(model: Path) -> Path | None:
    """Returns the folder of weights that `download` filled, or None where there is no champion.

    Raises DamagedError where the folder is not what `download` left.
    """
    sealed.check(model)
    return model if (model / FACTS).exists() else None
