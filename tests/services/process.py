"""Processes that serve on loopback."""

import contextlib
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import psutil

HOST = "127.0.0.1"
START_SECONDS = 600
"""Long, since no limit measures how busy a machine is; one that ends is noticed at once."""
STOP_SECONDS = 20


class UnavailableError(RuntimeError):
    """A service that cannot exist on this machine; the message says why."""


def free_port() -> int:
    """A port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def start(
    command: list[str], log: Path, ready: Callable[[], bool], environment: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Starts a process in a session of its own and waits until it is ready.

    Raises RuntimeError with its log where it does not come up.
    """
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={**os.environ, **(environment or {})},
            cwd=log.parent,
            start_new_session=True,
        )
    deadline = time.monotonic() + START_SECONDS
    while not ready():
        if process.poll() is not None or time.monotonic() > deadline:
            stop(process.pid)
            raise RuntimeError(f"{command[0]} did not start:\n{log.read_text(errors='replace')[-4000:]}")
        time.sleep(0.05)
    return process


@contextlib.contextmanager
def running(
    command: list[str], log: Path, ready: Callable[[], bool], environment: Mapping[str, str] | None = None
) -> Iterator[None]:
    """The same, for the length of a block."""
    process = start(command, log, ready, environment)
    try:
        yield
    finally:
        stop(process.pid)
        process.wait()


def stop(pid: int) -> None:
    """Ends a process that `start` started, and its children; kills what does not end by itself."""
    with contextlib.suppress(psutil.NoSuchProcess):
        family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGINT)  # of PostgreSQL: end now, in order
        for left in psutil.wait_procs(family, timeout=STOP_SECONDS)[1]:
            with contextlib.suppress(psutil.NoSuchProcess):
                left.kill()


def answers(url: str) -> Callable[[], bool]:
    """Whether a server answers at the URL, be it with a refusal."""

    def ready() -> bool:
        try:
            with urllib.request.urlopen(url, timeout=2):
                return True
        except urllib.error.HTTPError:
            return True
        except OSError:
            return False

    return ready


def listens(port: int) -> Callable[[], bool]:
    """Whether something takes connections on the port."""

    def ready() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex((HOST, port)) == 0

    return ready
