"""What all tests have."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from xdist.remote import Producer
    from xdist.scheduler import LoadScopeScheduling

# As trainings do (finest/training/device.py), before anything imports torch: on data as small as these, threads that
# wait for each other cost many times what they compute. Processes that tests start inherit it.
os.environ.setdefault("OMP_NUM_THREADS", "1")
pytest_plugins = ["tests.services.fixtures", "tests.services.images"]
TOGETHER = Path(__file__).parent / "end_to_end"
"""Tests that share a finished run, which takes a minute to make."""


@pytest.fixture(autouse=True)
def import_path() -> Iterator[None]:
    """Keeps the import path: MLflow puts a package's copy of finest first, where spawned processes would find it."""
    before = list(sys.path)
    yield
    sys.path[:] = before


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts the longest tests first."""
    items.sort(key=lambda item: not item.path.is_relative_to(TOGETHER))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: "Producer") -> "LoadScopeScheduling":
    """Gives the tests of a file to one process, and so those that share a finished run, where several run tests."""
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            file = config.rootpath / nodeid.partition("::")[0]
            return str(TOGETHER if file.is_relative_to(TOGETHER) else file)

    return ByFile(config, log)
