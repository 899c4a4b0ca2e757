"""Unit tests start no process: one that does belongs to tests/integration, and fails here."""

import multiprocessing.util
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
STARTS = frozenset({"subprocess.Popen", "os.fork", "os.posix_spawn", "os.system", "os.exec"})
_running: list[str] = []


def _refuse(what: str) -> None:
    if _running:
        raise RuntimeError(f"{_running[0]} starts a process ({what}): move it to tests/integration")


def _watch(event: str, arguments: tuple[Any, ...], starts: frozenset[str] = STARTS) -> None:
    # The names of a module are gone before the hook is, at the end of a process: what this needs at once is its own.
    if event in starts:
        _refuse(event)


sys.addaudithook(_watch)
_spawn = multiprocessing.util.spawnv_passfds


def _spawn_or_refuse(*arguments: Any) -> int:
    """Python has no audit event for processes of multiprocessing."""
    _refuse("multiprocessing")
    return int(_spawn(*arguments))


multiprocessing.util.spawnv_passfds = _spawn_or_refuse  # type: ignore[assignment]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Watches unit tests with their fixtures, and no others of the same process."""
    if item.path.is_relative_to(HERE):
        _running.append(item.nodeid)
    try:
        return (yield)
    finally:
        _running.clear()
