"""A kind of input: how it is made from a seed, what reads it, and how that may end."""

import shutil
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Literal

from finest.errors import FinestError, one_line

Good = Literal["clean error", "rows set aside", "equal", "other input"]
Bad = Literal["exception", "wrong", "no line", "hang", "crash", "memory"]
Word = Good | Bad
GOOD: dict[Good, str] = {
    "clean error": "one line of ours that says what is wrong",
    "rows set aside": "read; some rows are in the quarantine, all rows are accounted for",
    "equal": "read; the result is the one that was expected",
    "other input": "read as what it says now, which is valid; what can be checked without knowing it, holds",
}
"""How an input may end, and what that means."""
BAD: dict[Bad, str] = {
    "exception": "an error that is none of ours",
    "wrong": "a result that is not what it must be",
    "no line": "an error of ours whose text is empty, of several lines or without end",
    "hang": "it took longer than it may",
    "crash": "the process died",
    "memory": "the process grew beyond the bound",
}
LONGEST_LINE = 4000
"""Number of characters that an error's line may have."""


class WrongError(AssertionError):
    """Means that an input was read as something that it is not."""


@dataclass(frozen=True)
class Kind:
    """Makes inputs of one kind, and reads them."""

    name: str
    share: int
    """How many of ten thousand inputs are of this kind."""
    make: Callable[[Random, Path, Path], None]
    """Writes an input to a folder (second), drawn by the generator, from what was prepared (third)."""
    read: Callable[[Path, Path], Good]
    """Reads the input of a folder (first), with what was prepared (second). Raises FinestError or WrongError."""
    prepare: Callable[[Path], None] = lambda folder: None
    """Writes to a folder what inputs are made from, once."""


@dataclass(frozen=True)
class Ended:
    """Says how an input ended."""

    kind: str
    seed: int
    word: Word
    text: str = ""
    """The error's line, or the traceback of one that is none of ours."""
    seconds: float = 0.0
    peak_mb: int = 0
    """Largest resident memory of the process while the input was read."""


def generator(kind: str, seed: int) -> Random:
    """Returns what an input is drawn with: it depends on nothing else."""
    return Random(f"{kind} {seed}")


def tried(kind: Kind, seed: int, folder: Path, prepared: Path) -> Ended:
    """Makes an input in a folder that is empty or not there, and reads it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    kind.make(generator(kind.name, seed), folder, prepared)
    return read(kind, seed, folder, prepared)


def read(kind: Kind, seed: int, folder: Path, prepared: Path) -> Ended:
    """Reads an input that was made."""
    _forget_peak()
    began = time.monotonic()
    word, text = _outcome(kind, folder, prepared)
    return Ended(kind.name, seed, word, text, time.monotonic() - began, _peak_mb())


def _outcome(kind: Kind, folder: Path, prepared: Path) -> tuple[Word, str]:
    try:
        return kind.read(folder, prepared), ""
    except FinestError as error:
        text = str(error)
        if not text.strip() or len(text.splitlines()) > 1 or len(text) > LONGEST_LINE:
            return "no line", repr(text)[:2000]
        return "clean error", one_line(error)
    except WrongError as error:
        return "wrong", str(error)
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        return "exception", traceback.format_exc()[-4000:]


def _forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def _peak_mb() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) >> 10
