"""Holds a night's data against that of the line's last nights, before anything is trained."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from finest.data.compared import Compared, NightData
from finest.data.config import Ingest
from finest.data.freshness import Seen
from finest.data.schema import Manifest
from finest.data.unusual import Earlier, compare
from finest.ranklists.shared import Shared

COMPARED = "data.json"
"""Name of the file beside the rank lists with what the comparison found."""


def compared(
    manifest: Manifest, champions: Shared | None, as_of: datetime, nights: Sequence[Earlier], config: Ingest
) -> Compared | None:
    """Compares a data set with those of other nights; None where it says nothing of itself, as an earlier version's.

    Args:
        manifest: The data set's manifest.
        champions: What it shares with the champion's data; None without a champion.
        as_of: The moment that the run stands for.
        nights: The line's other nights.
        config: The bounds, and whether rows of one time have an order.
    """
    if manifest.description is None:
        return None
    measures = dict(manifest.description.measures)
    if champions is not None:
        measures["new_users"] = round(1 - champions.users.there / manifest.users, 6)
        measures["new_items"] = round(1 - champions.items.there / manifest.items, 6)
    description = manifest.description.model_copy(update={"measures": measures})
    tonight = NightData(fingerprint=manifest.fingerprint, description=description)
    return compare(tonight, as_of, nights, config.expect, ordered=config.columns.sequence is not None)


def refuses(found: Compared, manifest: Manifest, seen: Seen | None) -> bool:
    """Tells whether the data must be refused.

    That it lacks the newest day alone, so that there is nothing to judge by, is no reason: such a night is skipped; nor
    is data that is the champion's very own.
    """
    if seen is not None and manifest.fingerprint == seen.fingerprint:
        return False
    names = {one.name for one in found.refused}
    return bool(names - {"day_rows"} if manifest.instances == 0 else names)


def write(found: Compared | None, lists: Path) -> None:
    """Puts what was found beside the rank lists, which are not sealed yet."""
    if found is not None:
        lists.mkdir(parents=True, exist_ok=True)
        (lists / COMPARED).write_text(found.model_dump_json(indent=2) + "\n", encoding="utf-8")


def read(lists: Path) -> Compared | None:
    """Returns what `write` wrote, of a folder whose seal was checked; None where it wrote nothing."""
    file = lists / COMPARED
    return Compared.model_validate_json(file.read_bytes()) if file.exists() else None
