"""Removes runs of the past from a state: their folders, what MLflow keeps of them, checkpoints that they alone used."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pipeline import state as states
from pipeline.keep import Retention
from pipeline.state import RUN_NAME, State
from tracking import retained
from tracking.embedded import file_of
from tracking.retained import Held, Retained
from tracking.store import uri


@dataclass(frozen=True)
class Run:
    """Describes a run of a state."""

    id: str
    line: str
    """Empty where it ended before it said so."""
    started: datetime
    verdict: str
    """Its verdict, else its status in MLflow, else `unknown`."""
    folder: Path | None
    """Its folder in the state; None where it was removed."""
    stored: Retained | None
    """What MLflow keeps of it; None where that is nothing."""
    held: tuple[Held, ...]
    """Registered versions of it."""
    folder_bytes: int
    mlflow_bytes: int

    @property
    def serves(self) -> bool:
        """Tells whether one of its versions is in production, was, or waits for that."""
        return any(one.serves for one in self.held)

    @property
    def forgettable(self) -> bool:
        """Tells whether what MLflow keeps of it can be removed here."""
        embedded = file_of(uri()) is not None
        return embedded and self.stored is not None and not self.held and not self.stored.rebased


def runs(state: State) -> list[Run]:
    """Returns all runs of a state, newest first: those that have a folder, and those that MLflow knows."""
    stored = {one.kfp_run: one for one in retained.retained()}
    versions = retained.held()
    folders = {folder.name: folder for folder in state.runs()}
    found = [_run(id, folders.get(id), stored.get(id), versions) for id in {*stored, *folders}]
    return sorted(found, key=lambda run: (run.started, run.id), reverse=True)


def _run(id: str, folder: Path | None, stored: Retained | None, versions: Mapping[str, list[Held]]) -> Run:
    if stored:
        started = stored.started
    elif RUN_NAME.fullmatch(id):
        started = datetime.strptime(id[:15], "%Y%m%d-%H%M%S").astimezone(UTC)
    else:
        started = datetime.fromtimestamp(0, UTC)
    return Run(
        id=id,
        line=stored.line if stored else "",
        started=started,
        verdict=(stored.verdict or stored.status.lower()) if stored else "unknown",
        folder=folder,
        stored=stored,
        held=tuple(versions.get(id, ())),
        folder_bytes=states.size(folder) if folder else 0,
        mlflow_bytes=sum(states.size(place) for place in stored.places if place.exists()) if stored else 0,
    )


def superfluous(found: Iterable[Run], keep: int | None, older_than: float | None = None) -> list[Run]:
    """Returns the runs that can go, newest first.

    Args:
        found: All runs, newest first.
        keep: Number of runs of every line that stay, the newest ones; None for none.
        older_than: Age in days from which on a run goes; None for any.
    """
    seen: dict[str, int] = {}
    chosen, now = list[Run](), datetime.now(UTC)
    for run in found:
        seen[run.line] = seen.get(run.line, 0) + 1
        old = older_than is None or now - run.started > timedelta(days=older_than)
        if seen[run.line] > (keep or 0) and old and not run.serves and (run.folder or run.forgettable):
            chosen.append(run)
    return chosen


def remove(state: State, chosen: Iterable[Run]) -> int:
    """Removes runs, and checkpoints that no other run has noted; for whoever holds the state's lock.

    Returns the bytes that they took, but for those in MLflow's database.
    """
    chosen = list(chosen)
    ids, taken = {run.id for run in chosen}, 0
    notes = state.notes()
    others = {about for note, about in notes if not ids & {parent.name for parent in note.parents}}
    for note, about in notes:
        if ids & {parent.name for parent in note.parents}:
            taken += states.size(about) if about not in others and about.exists() else 0
            for path in [note, *([about] if about not in others else [])]:
                states.remove(path)
    for run in chosen:
        if run.forgettable and run.stored:
            retained.remove(run.stored)
            taken += run.mlflow_bytes
        if run.folder:
            states.remove(run.folder)
            taken += run.folder_bytes
    state.clear()
    return taken


def retain(state: State, config: Retention) -> list[Run]:
    """Removes what a config says can go, and returns that; for whoever holds the state's lock."""
    if config.keep_runs is None:
        return []
    chosen = superfluous(runs(state), config.keep_runs)
    remove(state, chosen)
    return chosen
