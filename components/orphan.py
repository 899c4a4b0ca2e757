"""Ends a local process with its run: kfp's runner leaves its steps behind when it is killed."""

import os
from collections.abc import Callable

import psutil

from finest.processes import end_when

VARIABLE = "FINEST_PARENT_PID"
"""Environment variable: id of the process that has started the run."""


def die_with_parent(before: Callable[[], object] = lambda: None) -> None:
    """Ends this process within a second of the death of the process that FINEST_PARENT_PID names.

    Nothing where it is unset.

    Args:
        before: Is called first; whatever it raises does not keep this process alive.
    """
    if not (pid := os.environ.get(VARIABLE)):
        return
    parent = _process(int(pid))

    def end() -> None:
        print(f"process {pid} that started this run has ended: stopping", flush=True)
        before()

    end_when(lambda: parent is None or _has_ended(parent), end)


def _process(pid: int) -> psutil.Process | None:
    try:
        return psutil.Process(pid)
    except psutil.NoSuchProcess:
        return None


def _has_ended(process: psutil.Process) -> bool:
    try:
        # A killed process that nobody has waited for is still listed, as a zombie.
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
