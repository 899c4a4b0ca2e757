from pathlib import Path
from typing import Any

import pytest

from components import events
from components.sections import parameters
from pipeline.config import Config, load

SMALL = ["ingest.evaluation={depth: 20, exclude_seen: false}", "finetune.top_k=60", "preflight.min_free_gb=0"]


@pytest.fixture(scope="session")
def small() -> dict[str, Any]:
    """Pipeline parameters that a small data set can satisfy."""
    return parameters(load(None, SMALL))


@pytest.fixture(scope="session")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One MLflow store for all tests; each has a pipeline run of its own."""
    return tmp_path_factory.mktemp("state")


@pytest.fixture
def local_run(state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The environment that `run` gives its steps; returns the run's id."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("FINEST_STATE", str(state))
    monkeypatch.setenv("KFP_RUN_ID", tmp_path.name)
    monkeypatch.setenv(events.VARIABLE, str(tmp_path / "events.jsonl"))
    return tmp_path.name


@pytest.fixture(scope="session")
def config() -> Config:
    """The same as `small`, typed."""
    return load(None, SMALL)
