"""Processes that try inputs; one that hangs, dies or grows is ended, and another takes its place."""

import importlib
import logging
import multiprocessing
import os
import shutil
import tempfile
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path

import psutil

from tests.fuzz.kind import BAD, Bad, Ended, Kind, tried

Job = tuple[str, int]
"""A kind's name and a seed."""
ALONE = "make it alone: tests.fuzz.kinds.KINDS[kind].make(generator(kind, seed), folder, prepared)"
LOOK_SECONDS = 0.2
"""Time between two looks at a process's memory."""


@dataclass
class _Worker:
    process: BaseProcess
    pipe: Connection
    folder: Path
    job: Job | None = None
    began: float = 0.0
    ready: bool = False

    def idle(self) -> bool:
        """Tells whether it has started, which takes seconds, and has nothing to do."""
        if not self.ready and self.pipe.poll():
            self.pipe.recv()
            self.ready = True
        return self.ready and self.job is None

    def give(self, job: Job) -> None:
        self.job, self.began = job, time.monotonic()
        self.pipe.send(job)

    def end(self) -> None:
        self.process.kill()
        self.process.join()
        self.pipe.close()


def run(
    jobs: list[Job],
    prepared: Path,
    kept: Path,
    processes: int,
    seconds: float,
    most_mb: int,
    module: str = "tests.fuzz.kinds",
) -> Iterator[Ended]:
    """Tries inputs, and yields how each ended; those that ended badly are kept.

    Args:
        jobs: The inputs.
        prepared: Folder with what was prepared for each kind.
        kept: Folder for inputs that ended badly, each below its kind and seed.
        processes: Number of processes.
        seconds: Time that an input may take.
        most_mb: Resident memory that a process may have.
        module: Name of the module that has the kinds.
    """
    left = list(reversed(jobs))
    with tempfile.TemporaryDirectory() as temporary:
        workers = [
            _start(module, prepared, Path(temporary, str(number))) for number in range(min(processes, len(jobs)))
        ]
        try:
            while left or any(worker.job for worker in workers):
                for worker in workers:
                    if worker.idle() and left:
                        worker.give(left.pop())
                wait([worker.pipe for worker in workers if worker.job or not worker.ready], LOOK_SECONDS)
                for number, worker in enumerate(workers):
                    if worker.job is None:
                        continue
                    ended = _looked_at(worker, seconds, most_mb)
                    if ended is None:
                        continue
                    if ended.word in ("hang", "crash", "memory"):
                        worker.end()
                        workers[number] = _start(module, prepared, worker.folder)
                    worker.job = None
                    keep(ended, worker.folder / "input", kept)
                    yield ended
        finally:
            for worker in workers:
                worker.end()


def _looked_at(worker: _Worker, seconds: float, most_mb: int) -> Ended | None:
    assert worker.job is not None
    kind, seed = worker.job
    took = time.monotonic() - worker.began

    def bad(word: Bad, text: str, peak: int = 0) -> Ended:
        return Ended(kind, seed, word, text, took, peak)

    if worker.pipe.poll():
        try:
            ended: Ended = worker.pipe.recv()
        except (EOFError, OSError):
            worker.process.join()
            if worker.process.exitcode == 1:  # Python's own: of what makes inputs, or of this module
                raise RuntimeError(f"{kind} {seed}: the input could not be made; {ALONE}") from None
            return bad("crash", f"exit code {worker.process.exitcode}")
        return bad("memory", f"{ended.peak_mb} MB", ended.peak_mb) if ended.peak_mb > most_mb else ended
    if took > seconds:
        return bad("hang", f"after {took:.0f} s")
    try:
        now = psutil.Process(worker.process.pid).memory_info().rss >> 20
    except psutil.NoSuchProcess:
        return None  # its end is in the pipe
    return bad("memory", f"{now} MB", now) if now > most_mb else None


def keep(ended: Ended, made: Path, kept: Path) -> None:
    """Keeps an input that ended badly, with a note how."""
    if ended.word not in BAD:
        return
    place = kept / ended.kind / str(ended.seed)
    shutil.rmtree(place, ignore_errors=True)
    if made.exists():
        shutil.copytree(made, place / "input", symlinks=True)
    place.mkdir(parents=True, exist_ok=True)
    again = f"python -m tests.fuzz --only {ended.kind} --seed {ended.seed} --count 1"
    (place / "ended.txt").write_text(f"{again}\n{ended.word}: {ended.text}\n", errors="backslashreplace")


def _start(module: str, prepared: Path, folder: Path) -> _Worker:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(theirs, module, prepared, folder), daemon=True)
    process.start()
    theirs.close()
    return _Worker(process, ours, folder)


def _work(pipe: Connection, module: str, prepared: Path, folder: Path) -> None:
    kinds: dict[str, Kind] = importlib.import_module(module).KINDS
    folder.mkdir(parents=True, exist_ok=True)
    os.chdir(folder)
    os.environ["TMPDIR"] = str(folder)
    tempfile.tempdir = None
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    _quiet()
    pipe.send("ready")
    while True:
        try:
            name, seed = pipe.recv()
        except EOFError:
            return
        pipe.send(tried(kinds[name], seed, folder / "input", prepared / name))


def _quiet() -> None:
    """Sends what libraries print to nowhere: panics of Rust, and warnings of parsers."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
