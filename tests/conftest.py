"""What all tests have."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

# As trainings do (finest/training/device.py), before anything imports torch: on data as small as these, threads that
# wait for each other cost many times what they compute. Processes that tests start inherit it.
os.environ.setdefault("OMP_NUM_THREADS", "1")
pytest_plugins = ["tests.services.fixtures", "tests.services.images"]
TOGETHER = Path(__file__).parent / "end_to_end"
"""Tests that share a finished run, which takes a minute to make."""


@pytest.fixture(autouse=True)
def import_path() -> Iterator[None]:
    """Keeps the import path: MLflow puts a package's own copy of finest first, where spawned processes would find it."""
    before = list(sys.path)
    yield
    sys.path[:] = before


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Puts the longest tests first, in one process where several run tests; other files go wherever there is room."""
    for item in items if config.pluginmanager.hasplugin("xdist") else []:
        item.add_marker(
            pytest.mark.xdist_group(TOGETHER.name if item.path.is_relative_to(TOGETHER) else str(item.path))
        )
    items.sort(key=lambda item: not item.path.is_relative_to(TOGETHER))
