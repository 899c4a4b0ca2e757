"""Profiles a training step: a trace of some batches, and the time of the parts that histories say nothing of.

Profiling is on where the environment names a folder, which a step's worker processes inherit. Where it is off,
everything here passes through what it is given.
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

from finest import sealed
from finest.profiling.summary import BATCHES, FOLDER

Batch = TypeVar("Batch")

VARIABLE = "FINEST_PROFILE"
"""Environment variable: folder that processes write their measurements into."""
WARM = 3
"""Number of batches of the traced epoch that are left out first, while caches fill."""
OPERATORS = 15
"""Number of operators that a summary names."""


@contextmanager
def into(out: Path, stage: str, on: bool, earlier: Path | None = None) -> Iterator[None]:
    """Profiles the block and puts what was measured into the folder that the block has written.

    Args:
        out: The folder.
        stage: `pretrain` or `finetune`.
        on: Whether to profile at all.
        earlier: Folder of the step before, whose profile is put beside this one's.
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
        sealed.seal(out)


def traced(batches: Sequence[Batch], stage: str, epoch: int, epochs: int) -> Iterable[Batch]:
    """Returns the batches of an epoch, some of which are traced as they are taken.

    One epoch a step is traced: the second of the first training that comes to one, or its only one. All variants
    compute the same.

    Args:
        batches: The epoch's batches.
        stage: `pretrain` or `finetune`.
        epoch: Number of the epoch, from 0.
        epochs: Number of epochs of the training.
    """
    folder = os.environ.get(VARIABLE)
    if not folder or (epoch == 0 and epochs > 1) or not _first(Path(folder, f"{stage}.claim")):
        return batches
    return _traced(batches, Path(folder), stage)


@contextmanager
def clocked(part: str) -> Iterator[None]:
    """Adds the block's wall and CPU time to that of `part`, where profiling is on."""
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
    """Returns whether nobody has made the file before, and makes it."""
    try:
        claim.touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def _parts(folder: Path) -> dict[str, dict[str, Any]]:
    """Returns how often every part was clocked, and its wall and CPU seconds."""
    found: dict[str, dict[str, Any]] = {}
    lines = folder / "parts.jsonl"
    for spent in map(json.loads, lines.read_text().splitlines() if lines.exists() else []):
        part = found.setdefault(spent["part"], {"times": 0, "seconds": 0.0, "cpu_seconds": 0.0})
        part["times"] += 1
        for unit in ("seconds", "cpu_seconds"):
            part[unit] += spent[unit]
    return found
