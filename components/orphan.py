"""A local process must not outlive the `run` that started it: kfp's runner leaves its steps behind when it is killed."""

import os
import threading
import time

import psutil

VARIABLE = "FINEST_PARENT_PID"


def die_with_parent() -> None:
    """Ends this process within a second of the death of the process that FINEST_PARENT_PID names. Nothing where it is unset."""
    if pid := os.environ.get(VARIABLE):
        threading.Thread(target=_watch, args=(int(pid),), name="orphan-watch", daemon=True).start()


def _watch(pid: int) -> None:
    try:
        parent = psutil.Process(pid)
        # A killed process that nobody has waited for is still listed, as a zombie.
        while parent.is_running() and parent.status() != psutil.STATUS_ZOMBIE:
            time.sleep(1)
    except psutil.NoSuchProcess:
        pass
    print(f"process {pid} that started this run has ended: stopping", flush=True)
    os._exit(1)
