"""A local process must not outlive the `run` that started it: kfp's runner leaves its steps behind when it is killed."""

import os
import threading
import time
from collections.abc import Callable

import psutil

VARIABLE = "FINEST_PARENT_PID"


def die_with_parent(before: Callable[[], object] = lambda: None) -> None:
    """Ends this process within a second of the death of the process that FINEST_PARENT_PID names. Nothing where it is unset.

    `before` is called first; whatever it raises does not keep this process alive.
    """
    if pid := os.environ.get(VARIABLE):
        threading.Thread(target=_watch, args=(int(pid), before), name="orphan-watch", daemon=True).start()


def _watch(pid: int, before: Callable[[], object]) -> None:
    try:
        parent = psutil.Process(pid)
        # A killed process that nobody has waited for is still listed, as a zombie.
        while parent.is_running() and parent.status() != psutil.STATUS_ZOMBIE:
            time.sleep(1)
    except psutil.NoSuchProcess:
        pass
    print(f"process {pid} that started this run has ended: stopping", flush=True)
    try:
        before()
    finally:
        os._exit(1)
