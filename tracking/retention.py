"""Deletes versions that nothing refers to, with their files."""

import logging
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from finest.errors import FinestError, one_line
from tracking import ledger, registry, standing
from tracking.registry import Version
from tracking.standing import Standing
from tracking.store import connect, experiments, waiting

logger = logging.getLogger(__name__)

DAYS = 7.0
"""Age in days below which a night's end does not delete a version."""
MODEL = "models:/"
"""What the source of a version begins with that is a logged model."""
PRUNED = "pruned"
"""Name of the tag of logged models whose version is being deleted, so that a later call finishes what a crash left."""


@dataclass(frozen=True)
class Unused:
    """Holds a version that nothing refers to."""

    version: Version
    model_id: str
    """Id of its logged model; empty where it has none."""
    size: int
    """Bytes of its files."""


def used(now: Standing, keep: int) -> set[str]:
    """Returns the versions that something refers to.

    These are: every alias; the request that awaits approval; the last entries and the last moves of the ledger; the
    nearest versions to roll back to; and what each of these was compared with.

    Args:
        now: How the line stands.
        keep: Number of entries, of moves and of versions to roll back to.
    """
    log = now.log
    said = [*log.written[-keep:], *log.moves[-keep:], *([log.awaiting] if log.awaiting else [])]
    found = {version for one in said if one.entry for version in (one.entry.from_version, one.entry.to_version)}
    found |= {now.champion, *now.aliases.values(), *log.earlier[:keep]}
    return found | {one.entry.from_version for one in log.written if one.entry and one.entry.to_version in found}


def unused(line: str, keep: int, days: float = DAYS, now: datetime | None = None) -> list[Unused]:
    """Returns versions that nothing refers to, oldest first; nothing is deleted.

    Args:
        line: The line.
        keep: As of `used`.
        days: Age in days below which a version stays: a night may be at work on it.
        now: The time; that of this machine if not given.

    Raises:
        FinestError: The ledger was changed, the champion has vanished, or an alias was moved by hand.
    """
    kept, before = used(standing.check(line), keep), (now or datetime.now(UTC)) - timedelta(days=days)
    sources = {str(raw.version): raw.source or "" for raw in connect().search_model_versions(f"name = '{line}'")}
    found = []
    for version in reversed(registry.list_versions(line)):
        ours = version.kfp_run_id and version.version not in kept and version.created <= before
        if ours and not _elsewhere(line, version.version, source := sources.get(version.version, "")):
            id = source.removeprefix(MODEL) if source.startswith(MODEL) else ""
            found.append(Unused(version, id, sum(_sizes(id)) if id else 0))
    return found


def _elsewhere(line: str, version: str, source: str) -> bool:
    """Tells whether another registered model has the version, or its files."""
    client = connect()
    uris = {source, f"models:/{line}/{version}"} - {""}
    others = [one for uri in uris for one in client.search_model_versions(f"source_path = '{uri}'")]
    return any((one.name, str(one.version)) != (line, version) for one in others)


def _sizes(model_id: str, path: str | None = None) -> Iterator[int]:
    """Yields the bytes of every file of a logged model, as far as its store says them."""
    for file in connect().list_logged_model_artifacts(model_id, path):
        if file.is_dir:
            yield from _sizes(model_id, file.path)
        else:
            yield file.file_size or 0


def prune(line: str, unwanted: list[Unused], keep: int) -> list[Unused]:
    """Deletes versions with their files, and returns those that are gone. The ledger says so before anything goes.

    A version that something refers to by then stays. What a call that was killed has left of its versions goes too.
    """
    _finish(line)
    gone = []
    if unwanted:
        log = ledger.begin(line)
        numbers = ranges(int(one.version.version) for one in unwanted)
        run = os.environ.get("KFP_RUN_ID", "")
        ledger.append(line, ledger.entry("hand", f"retention deletes version {numbers}", run=run), log)
    for one in unwanted:
        client, number = connect(), one.version.version
        if number in used(standing.check(line), keep):
            continue
        if one.model_id:
            client.set_logged_model_tags(one.model_id, {PRUNED: line})
        client.delete_model_version(line, number)
        if one.model_id:
            _delete(one.model_id)
        gone.append(one)
    return gone


def at_the_end(line: str, keep: int) -> None:
    """Deletes what nothing refers to at the end of a night, whose champion is in its place also where that fails."""
    from mlflow.exceptions import MlflowException

    try:
        gone = prune(line, unused(line, keep), keep)
    except (FinestError, MlflowException) as error:
        logger.warning("promote.keep_versions: old versions were not deleted: %s", one_line(error))
    else:
        logger.info("deleted %d versions that nothing refers to (promote.keep_versions)", len(gone))


def _finish(line: str) -> None:
    """Deletes the files of versions that an earlier call has deleted before it was killed."""
    client = connect()
    there = {raw.source for raw in client.search_model_versions(f"name = '{line}'")}
    if places := experiments(client):
        for model in client.search_logged_models(places, f"tags.{PRUNED} = '{line}'"):
            if MODEL + model.model_id not in there:
                _delete(str(model.model_id))


def _delete(model_id: str) -> None:
    """Deletes the files of a logged model, and then itself."""
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    client = connect()
    place = client.get_logged_model(model_id).artifact_location
    waiting(get_artifact_repository(place).delete_artifacts)
    client.delete_logged_model(model_id)


def ranges(numbers: Iterable[int]) -> str:
    """Returns numbers in few words.

    >>> ranges([9, 3, 4, 5])
    '3 to 5, 9'
    """
    found: list[list[int]] = []
    for number in sorted(numbers):
        if found and number == found[-1][-1] + 1:
            found[-1].append(number)
        else:
            found.append([number])
    return ", ".join(f"{run[0]} to {run[-1]}" if len(run) > 1 else f"{run[0]}" for run in found)
