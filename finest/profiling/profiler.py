"""Profiling of a training step: a trace of some batches by torch's profiler, and the time of parts that histories do not tell.

On where the environment names a folder, which a step's worker processes inherit. Off, everything here hands through what it is given.
"""

import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch.profiler import ProfilerActivity, profile

from finest.profiling.summary import BATCHES, FOLDER

Batch = TypeVar("Batch")

VARIABLE = "FINEST_PROFILE"
WARM = 3
"""Batches of the traced epoch that are left out first."""
OPERATORS = 15
"""That a summary names."""


@contextmanager
def into(out: Path, stage: str, on: bool, earlier: Path | None = None) -> Iterator[None]:
    """Profiles the block where `on`, and puts what was measured into `out`, which the block has written.

    `earlier`: the folder of the step before, whose profile is put beside this one's.
    """
    if not on:
        yield
        return
    with tempfile.TemporaryDirectory() as scratch:
        os.environ[VARIABLE] = scratch
        try:
            yield
        finally:
            del os.environ[VARIABLE]
        folder, operators = out / FOLDER, Path(scratch, _operators(stage))
        folder.mkdir()
        for trace in Path(scratch).glob("*-trace.json.gz"):
            shutil.move(trace, folder / trace.name)
        found = {
            "operators": json.loads(operators.read_text()) if operators.exists() else [],
            "parts": _parts(Path(scratch)),
        }
        (folder / f"{stage}.json").write_text(json.dumps(found, indent=2))
        if earlier:
            shutil.copytree(earlier / FOLDER, folder, dirs_exist_ok=True)


def traced(batches: Sequence[Batch], stage: str, epoch: int, epochs: int) -> Iterable[Batch]:
    """The batches of an epoch (from 0), of which some are traced where profiling is on.

    Once a step: in the first training that comes to its second epoch, or to its only one. All variants compute the same.
    """
    folder = os.environ.get(VARIABLE)
    if not folder or (epoch == 0 and epochs > 1) or not _first(Path(folder, f"{stage}.claim")):
        return batches
    return _traced(batches, Path(folder), stage)


@contextmanager
def clocked(part: str) -> Iterator[None]:
    """Adds the block's time to that of the `part` where profiling is on."""
    if not (folder := os.environ.get(VARIABLE)):
        yield
        return
    began, cpu_began = time.perf_counter(), time.process_time()
    yield
    spent = {"part": part, "seconds": time.perf_counter() - began, "cpu_seconds": time.process_time() - cpu_began}
    with Path(folder, "parts.jsonl").open(
        "ab", buffering=0
    ) as file:  # one write, so that processes do not mix their lines
        file.write(json.dumps(spent).encode() + b"\n")


def _traced(batches: Sequence[Batch], folder: Path, stage: str) -> Iterator[Batch]:
    warm = min(WARM, len(batches) - 1)
    yield from batches[:warm]
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if torch.cuda.is_available() else [])]
    with profile(activities=activities) as recorded:
        yield from batches[warm : warm + BATCHES]
    recorded.export_chrome_trace(str(folder / f"{stage}-trace.json.gz"))
    kinds = {"cpu_seconds": "self_cpu_time_total", "device_seconds": "self_device_time_total"}  # microseconds
    found = [
        {"name": one.key, "calls": one.count, **{kind: getattr(one, name) / 1e6 for kind, name in kinds.items()}}
        for one in recorded.key_averages()
    ]
    total = {kind: sum(one[kind] for one in found) for kind in kinds}
    spent = "device_seconds" if total["device_seconds"] else "cpu_seconds"
    found.sort(key=lambda one: -one[spent])
    (folder / _operators(stage)).write_text(json.dumps([*found[:OPERATORS], {"name": "all", "calls": None, **total}]))
    yield from batches[warm + BATCHES :]


def _operators(stage: str) -> str:
    return f"{stage}-operators.json"


def _first(claim: Path) -> bool:
    """Whether nobody has made the file before."""
    try:
        claim.touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def _parts(folder: Path) -> dict[str, dict[str, Any]]:
    """Times, and wall and CPU seconds, of every part that was clocked."""
    found: dict[str, dict[str, Any]] = {}
    lines = folder / "parts.jsonl"
    for spent in map(json.loads, lines.read_text().splitlines() if lines.exists() else []):
        part = found.setdefault(spent["part"], {"times": 0, "seconds": 0.0, "cpu_seconds": 0.0})
        part["times"] += 1
        for unit in ("seconds", "cpu_seconds"):
            part[unit] += spent[unit]
    return found
