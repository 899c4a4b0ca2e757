"""Measures the cells of an experiment, each in a process of its own, and goes on past those that break."""

import errno
import logging
import os
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

import pyarrow as pa
import torch

from finest.causes import disk_full
from finest.data.dataset import load
from finest.data.schema import Manifest
from finest.errors import ConfigError, FinestError, UnavailableError, one_line
from finest.experiments.bench import Bench
from finest.experiments.identity import key_of
from finest.experiments.record import Cell, Cost, Given, ImpossibleError, Record
from finest.experiments.registry import EXPERIMENTS, cells
from finest.experiments.results import Results, trainings
from finest.peak import peak_bytes
from finest.processes import Returned, Told, Worker
from finest.training.device import choose, prepare
from finest.training.group import Clock, default_processes
from finest.training.store import Store

POLL_SECONDS = 1.0

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Heard:
    """Tells how far an experiment is."""

    done: int
    """Number of cells that are over."""
    of: int
    """Number of cells."""
    known: int
    """Number of those over that an earlier attempt has measured."""
    text: str
    """What is at work, or what is over."""
    record: Record | None = None
    """What came of the cell that is over."""


@dataclass(frozen=True)
class Work:
    """Describes a cell's work in full, as a worker process takes it."""

    cell: Cell
    key: str
    given: Given
    data: Path
    """Folder of the data set."""
    store: Store
    files: Mapping[str, pa.Table] = field(default_factory=dict)
    """Of each scenario that is read from a file, by name, its rows."""


@dataclass
class Outcome:
    """Holds what came of all cells, in the grid's order."""

    records: list[Record] = field(default_factory=list)

    @property
    def broken(self) -> list[Record]:
        """Returns the cells that ended in an error."""
        return [one for one in self.records if one.state == "broken"]

    def check(self) -> None:
        """Raises FinestError where a cell is broken; the message says which, and why."""
        if self.broken:
            which = "; ".join(f"{one.cell.name}: {one.reason}" for one in self.broken)
            raise FinestError(f"{len(self.broken)} of {len(self.records)} cells are broken: {which}")


def chosen(name: str, given: Given, only: Sequence[str] = ()) -> list[Cell]:
    """Returns the cells of an experiment.

    Args:
        name: The experiment.
        given: What it takes from the config.
        only: Texts of which a cell's name must have one; none for all cells.

    Raises:
        ConfigError: There is no such experiment, or no cell has such a name.
    """
    every = cells(name, given)
    found = [cell for cell in every if not only or any(text in cell.name for text in only)]
    if not found:
        there = ", ".join(f"'{cell.name}'" for cell in every[:3])
        raise ConfigError(f"--only {' '.join(only)}: no cell is called so; there are {there} and the like")
    return found


def planned(name: str, given: Given, manifest: Manifest, only: Sequence[str] = ()) -> dict[str, Cell]:
    """Returns the chosen cells by key; takes and raises what `chosen` does."""
    return {key_of(cell, given, manifest): cell for cell in chosen(name, given, only)}


def run(
    name: str,
    given: Given,
    data: Path,
    store: Store,
    hear: Callable[[Heard], None],
    only: Sequence[str] = (),
    files: Mapping[str, pa.Table] | None = None,
) -> Outcome:
    """Measures the cells that no earlier attempt has measured, and returns what came of all.

    A cell that is broken or impossible is tried again by the next attempt: what it lacks may be there by then. Once all
    are measured, the trainings that they shared go.

    Args:
        name: The experiment.
        given: What it takes from the config.
        data: Folder of the data set.
        store: Place of records and checkpoints.
        hear: Hears how far it is, and of every cell that is over, those of earlier attempts first.
        only: Texts of which a cell's name must have one; none for all cells.
        files: Of each scenario that is read from a file, by name, its rows.

    Raises:
        FinestError: The disk is full, or a store is away: what is measured until then is kept.
    """
    plan, results = planned(name, given, load(data).manifest, only), Results(store)
    found = {key: results.read(key) for key in plan}
    over = {key: record for key, record in found.items() if record is not None and record.state == "finished"}
    known = len(over)
    for number, record in enumerate(over.values(), 1):
        hear(Heard(number, len(plan), number, record.cell.name, record))
    todo = [Work(cell, key, given, data, store, files or {}) for key, cell in plan.items() if key not in over]

    def heard(text: str, record: Record | None = None) -> None:
        if record:
            over[record.key] = record
        hear(Heard(len(over), len(plan), known, text, record))

    try:
        _measure(todo, _at_once(name, given), choose(given.pretrain.device), heard)
    except OSError as error:
        if not disk_full(error):
            raise
        why = f"the disk is full ({one_line(error)}); free some space and run again: cells that are finished are kept"
        raise FinestError(why) from error
    outcome = Outcome([over[key] for key in plan])
    if not outcome.broken and not only:
        trainings(store).delete("")
    return outcome


def measured(work: Work, told: Callable[[str], None]) -> Record:
    """Measures a cell and keeps its record. An error that is the cell's own makes it broken.

    Raises:
        OSError: The disk is full: no other cell would end better.
        UnavailableError: A store is away.
    """
    clock, experiment, shelf = Clock(), EXPERIMENTS[work.cell.experiment](), trainings(work.store)
    known: dict[str, Any] = {"cell": work.cell, "key": work.key}
    with Bench(load(work.data), work.given, work.cell.seed, shelf, told, experiment.keeps, work.files) as bench:
        try:
            with EXPERIMENTS.at_work(work.cell.experiment):
                found: dict[str, Any] = {"state": "finished", "rows": experiment.measure(work.cell, bench)}
        except ImpossibleError as error:
            found = {"state": "impossible", "reason": str(error)}
        except UnavailableError:
            raise
        except Exception as error:
            if disk_full(error):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), work.cell.name) from error
            logger.exception("%s is broken", work.cell.name)
            found = {"state": "broken", "reason": one_line(error)}
        wall, cpu = clock.lap()
        record = Record(**known, **found, cost=Cost(wall_s=wall, cpu_s=cpu, peak_mb=peak_bytes() / 1e6))
        Results(work.store).write(record)
        bench.forget()
    return record


def _at_once(name: str, given: Given) -> int:
    pretrain = given.pretrain
    if EXPERIMENTS[name].alone or choose(pretrain.device).type != "cpu" or pretrain.data_parallel > 1:
        return 1
    return pretrain.processes or default_processes()


def _measure(todo: list[Work], at_once: int, device: torch.device, heard: Callable[..., None]) -> None:
    """Measures cells, each in a process of its own: its peak of memory is its own, and so is its end."""
    left, at_work = deque(todo), dict[Any, tuple[Worker, Work]]()
    try:
        while left or at_work:
            while left and len(at_work) < at_once:
                work = left.popleft()
                worker = Worker(f"the process of {work.cell.name}", partial(prepare, device))
                at_work[worker.connection] = worker, work
                worker.give(partial(measured, work))
            for connection in wait(list(at_work), POLL_SECONDS):
                worker, work = at_work[connection]
                record = _heard(worker, work, heard)
                if record is not None:
                    del at_work[connection]
                    worker.end()
                    heard(work.cell.name, record)
    finally:
        for worker, _ in at_work.values():
            worker.end(at_once=True)


def _heard(worker: Worker, work: Work, heard: Callable[..., None]) -> Record | None:
    """Returns the record of a cell that is over; None of one that goes on."""
    try:
        said = worker.hear()
    except UnavailableError:
        raise
    except FinestError as error:  # its process was killed, as for want of memory, or went without a word
        record = Record(cell=work.cell, key=work.key, state="broken", reason=one_line(error))
        Results(work.store).write(record)
        return record
    if isinstance(said, Told):
        heard(f"{work.cell.name}: {said.event}")
    if isinstance(said, Returned):
        over: Record = said.result
        return over
    return None
