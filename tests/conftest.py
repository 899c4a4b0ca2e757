"""What all tests have."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

# As trainings do (finest/training/device.py), before anything imports torch: on data as small as these, threads that
# wait for each other cost many times what they compute. Processes that tests start inherit it.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Nor shall each of the hundreds of processes compile our modules again, where an image's environment says so.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
pytest_plugins = ["tests.services.fixtures", "tests.services.images"]
LONGEST = (
    "end_to_end/test_whole_run.py",
    "extension/test_extension.py",
    "integration/k8s/test_waiting.py",
    "end_to_end/test_resume.py",
    "integration/components/test_nights.py",
    "integration/test_recipes.py",
)
"""Files that take a minute and more, the longest first: last, they would be what the other processes wait for."""


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    """Keeps the import path and the environment.

    MLflow puts a package's copy of finest first, where spawned processes would find it; and a command that runs in this
    process sets what its steps inherit, such as ten minutes of patience with a server that is away. How wide a command
    writes is no matter of the terminal that the tests are started in.
    """
    os.environ.pop("COLUMNS", None)
    path, environment = list(sys.path), dict(os.environ)
    yield
    sys.path[:] = path
    if dict(os.environ) != environment:
        os.environ.clear()
        os.environ.update(environment)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts the longest files first."""
    place = {Path(__file__).parent / name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.path, len(place)))
