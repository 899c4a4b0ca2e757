"""What processes of tests do; in a module of its own, since they import it, and nothing that takes long to load."""

import logging
import os
import signal
import subprocess
from pathlib import Path

from finest.errors import ConfigError
from finest.training.progress import Progress, Report


def said(epoch: int, variant: str = "clean") -> Progress:
    return Progress(epoch / 10, f"{variant} {epoch}/10", variant, "pretrain", epoch, 1.0)


def count(file: Path) -> int:
    """How often it was called, with this time."""
    file.write_text(str(number := 1 + (int(file.read_text()) if file.exists() else 0)))
    return number


def dies(file: Path, times: int, epochs: list[int], report: Report) -> None:
    """Dies so many times, each after it has reported the next epoch of the list."""
    if (number := count(file)) <= times:
        for epoch in epochs[number - 1 : number]:
            report(said(epoch))
        os.kill(os.getpid(), signal.SIGKILL)
    logging.getLogger("finest.training").info("all is well")


def fails(report: Report) -> None:
    raise ConfigError("pretrain.model.num_heads: 3 does not divide 8")


def leaves(report: Report) -> None:
    os._exit(7)


def odd(report: Report) -> None:
    class OddError(Exception):
        pass

    raise OddError("nobody else knows me")


def score(file: Path, report: Report) -> None:
    """Writes how ready the kernel is to end a process that it has started, where memory is short."""
    read = ["cat", "/proc/self/oom_score_adj"]
    file.write_text(subprocess.run(read, capture_output=True, text=True, check=True).stdout)
