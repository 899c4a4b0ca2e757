import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow.entities import Run

from tests.builders import write_walks
from tests.docker.containers import EPOCHS, TUNING_EPOCHS, finish
from tests.end_to_end.conftest import CONFIG, Place
from tracking.store import connect, experiment_id

Whole = tuple[subprocess.CompletedProcess[str], Path]
"""A run that is over, and its folder."""
Runs = Callable[[str], list[Run]]


@pytest.fixture(scope="session")
def here(tmp_path_factory: pytest.TempPathFactory) -> Place:
    place = Place(tmp_path_factory.mktemp("containers"))
    write_walks(place.source)
    config = CONFIG.replace("epochs: 2, memory", f"epochs: {EPOCHS}, memory")
    place.config.write_text(config.replace("epochs: 2, top_k", f"epochs: {TUNING_EPOCHS}, top_k"))
    return place


@pytest.fixture(scope="session")
def whole(here: Place, steps_image: str) -> Whole:
    """A run that nobody disturbs."""
    process = finish(here, "whole")
    return process, here.last("whole")


@pytest.fixture
def store(here: Place, monkeypatch: pytest.MonkeyPatch) -> Runs:
    """All MLflow runs of a state."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)

    def runs(state: str) -> list[Run]:
        monkeypatch.setenv("FINEST_STATE", str(here.folder / state))
        return list(connect().search_runs([experiment_id(connect(), "finest")]))

    return runs
