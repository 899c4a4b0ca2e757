"""Checks what must hold before anything expensive starts."""

import logging
import os
import shutil
import socket
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import storage
from components import backend, events, source
from components.champion.work import seen_by
from components.config import Sections
from components.perturb import work as edit_files
from components.sections import parameters
from finest.data.check import check as samples
from finest.data.config import Ingest
from finest.data.window import moment, prune, resolved
from finest.errors import ConfigError, DamagedError, DataError, FinestError, first_line
from finest.gate.config import OnDamage
from finest.metrics.registry import METRICS, SIMILARITIES
from finest.models.registry import MODELS
from tracking import answer, closing, ledger, registry, runs, standing, store
from tracking.promotion import Before

logger = logging.getLogger(__name__)

SAMPLED = 3
"""Number of files of the source that are looked at."""


class Checked(NamedTuple):
    """Holds what later steps need to know."""

    listing: str
    """Hash of the source's listing."""
    line: str
    """Name of the line."""
    champion: str
    """Version of the champion to compare with; empty where there is none, it is damaged, or the line starts over."""
    production: dict[str, str]
    """What is in production, as `Before` says it."""
    checkpoints: str
    """Folder or URI of the line's checkpoints."""
    items_needed: int
    """Number of items that reference lists of this depth need at least."""
    as_of: str
    """The moment that the run stands for."""
    ingest: dict[str, Any]
    """Section `ingest` with dates for the days that it counts from that moment."""
    perturb: dict[str, Any]
    """Section `perturb` with the digests of its edit files."""
    seen: dict[str, str]
    """The champion's data, as `seen_by` says it; empty where that is no reason to skip the run."""


def check(
    line: str,
    uri: str,
    as_of: datetime,
    seed: int,
    checkpoints: str,
    sections: Sections,
    fans_out: bool,
    rebase: bool = False,
    serves: bool = True,
) -> Checked:
    """Checks other packages' metrics, source, disk, checkpoints and MLflow, and opens the parent run last.

    Before that it ends the MLflow runs that dead runs of the same place have left open.

    Args:
        line: Name of the line.
        uri: Interactions: a URI or the name of a sample.
        as_of: The moment that the run stands for.
        seed: Seed of the whole run.
        checkpoints: Folder or URI of the line's checkpoints; empty for none.
        sections: The config's sections.
        fans_out: Whether the pipeline trains any number of groups, or one.
        rebase: Whether the line starts over: there is no champion to compare with, and the next one replaces what there
            is.
        serves: Whether the pipeline has the step `recommend`.
    """
    if sections.recommend.out and not serves:
        asked = f"recommend.out: {sections.recommend.out}, but this pipeline was compiled without the step recommend"
        raise ConfigError(f"{asked}; compile it with such a config: finest compile --config FILE")
    if sections.perturb.groups > 1 and not fans_out:
        asked = f"perturb.groups: {sections.perturb.groups}, but this pipeline was compiled for one group"
        raise ConfigError(f"{asked}; compile it with such a config: finest compile --config FILE")
    for everywhere in (METRICS, SIMILARITIES):  # each of them is in every verdict, hours from now
        everywhere.import_all()
    ingest = resolved(sections.ingest, as_of)
    if ingest.split.method == "leave_one_out":
        logger.warning(
            "ingest.split.method=leave_one_out holds out one row a user: whether lists follow the history will not be "
            "measured, and the gate's check frozen.plasticity not be applicable"
        )
    preflight, finetune = sections.preflight, sections.finetune
    found = source.resolve(uri)
    listing = source.listing_of(found, ingest)
    look_at(uri, found, ingest)
    perturb = edit_files.resolved(sections.perturb)
    for folder in local_folders(checkpoints):
        check_space(folder, preflight.min_free_gb)
    storage.probe(checkpoints)
    if sections.recommend.out:
        storage.probe_output(sections.recommend.out)
    answer.check(line)
    here = place()
    closing.close_dead(lambda tags: bool(here) and tags.get("place") == here)
    ledger.begin(line)
    log = standing.check(line).log
    now = registry.get(line, log.champion) if log.champion else None
    before = Before(log.champion, log.last.number if log.last else 0)
    champion = None if rebase else whole(now, sections.gate.on_damaged_champion)
    if champion and champion.model and champion.model not in MODELS:
        raise ConfigError(
            f"the champion, {champion.name} version {champion.version}, is a {champion.model}, which nothing here has: "
            f"install {champion.package or 'the package that it came from'}, or give this line another name (--name)"
        )
    config = sections.model_copy(update={"ingest": ingest, "perturb": perturb}).model_dump(mode="json")
    tags = {"place": here, runs.NIGHT: as_of.isoformat(), runs.REBASE: (before.champion or "none") if rebase else ""}
    runs.open_parent(config, line=line, source=uri, seed=seed, tags=tags)
    return Checked(
        listing=listing,
        line=line,
        champion=champion.version if champion else "",
        production=before.as_parameter(),
        checkpoints=checkpoints,
        items_needed=finetune.list_length,
        as_of=as_of.isoformat(),
        ingest=parameters(ingest),
        perturb=parameters(perturb),
        seen=seen_by(champion) if champion and preflight.skip_without_new_data else {},
    )


def whole(champion: registry.Version | None, on_damage: OnDamage) -> registry.Version | None:
    """Returns the champion where its package is what was packed, and None where the night goes on without it.

    Raises:
        DamagedError: It is damaged, and the night is not to go on.
    """
    if champion is None:
        return None
    try:
        with tempfile.TemporaryDirectory() as folder:
            registry.package(champion, Path(folder))
    except DamagedError as error:
        if on_damage == "refuse":
            raise
        logger.warning("%s; the night goes on without a champion to compare with (gate.on_damaged_champion)", error)
        return None
    return champion


def look_at(uri: str, found: storage.Source, ingest: Ingest) -> None:
    """Reads a sample of what ingest will read, which takes seconds.

    Raises:
        DataError: It cannot be used as the config says: all that is wrong, with what mends it.
    """
    files = prune(found.files, ingest)
    try:
        mistakes = samples.check(found.filesystem, found.root, files, ingest, SAMPLED).mistakes
    except (FinestError, OSError) as error:
        if found.passing(error.__cause__ or error) is None:
            raise
        logger.warning("%s: no sample could be read (%s); ingest will see", uri, first_line(error))
        return
    if mistakes:
        every = mistakes if len(mistakes) == 1 else [f"({at}) {one}" for at, one in enumerate(mistakes, 1)]
        raise DataError(f"{uri}: {'; '.join(every)}; `finest check` prints a config that fits")


def stands_for(as_of: str, created: str) -> datetime:
    """Returns the moment that the run stands for.

    That is `as_of` where it is given, else the schedule's own time, else when the run was made, else now. A night that
    starts late, since another one was still going on, is its own night all the same.

    Args:
        as_of: The config's `as_of`; empty where it is unset.
        created: What a backend puts in place of kfp's placeholder for the schedule's time; one that does not know it
            hands on the placeholder.
    """
    if as_of:
        return moment(as_of)
    recorded = backend.record()
    known = recorded.scheduled_at if recorded and recorded.scheduled_at else "" if created.startswith("{{") else created
    return moment(known) if known else datetime.now(UTC)


def place() -> str:
    """Returns where a local run runs: one at a time there, by the lock, so an open run of that place is surely dead.

    Empty on a cluster.
    """
    return f"{socket.gethostname()}:{store.state_folder()}" if os.environ.get(events.VARIABLE) else ""


def local_folders(checkpoints: str) -> list[Path]:
    """Returns the folders of this machine that the run fills."""
    state = [store.state_folder()] if os.environ.get(events.VARIABLE) else []
    return state + ([] if "://" in checkpoints or not checkpoints else [Path(checkpoints)])


def check_space(folder: Path, gigabytes: float) -> None:
    """Raises FinestError where the folder's disk has less than so many GB (1e9 bytes) free."""
    there = next(parent for parent in [folder.absolute(), *folder.absolute().parents] if parent.exists())
    free = shutil.disk_usage(there).free / 1e9
    if free < gigabytes:
        raise FinestError(
            f"{folder}: {free:.1f} GB free, but preflight.min_free_gb asks for {gigabytes:g}; "
            "free some or move it (--state)"
        )
