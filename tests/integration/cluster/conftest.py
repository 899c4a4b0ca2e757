"""A KFP API that answers as we say, an MLflow store in SQLite, and the command line in this process."""

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from components.image import IMAGE
from pipeline import cli
from pipeline.compile import compile_to
from tests.services.fake_kfp import FakeKfp, serve
from tracking import runs
from tracking.registry import CHAMPION
from tracking.store import connect

CONFIG = "source: s3://bucket/interactions\ncheckpoints: s3://bucket/checkpoints\n"


@pytest.fixture
def kfp() -> Iterator[FakeKfp]:
    with serve() as server:
        yield server


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """pipeline.yaml, as the code compiles to."""
    file = tmp_path_factory.mktemp("compiled") / "pipeline.yaml"
    compile_to(file, IMAGE)
    return file


@pytest.fixture(scope="session")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One MLflow store for all tests; each has pipeline runs and a registered model of its own."""
    return tmp_path_factory.mktemp("mlflow") / "mlflow.db"


@pytest.fixture
def mlflow(database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The environment of someone who uses that store."""
    for name in [name for name in os.environ if name.startswith(("KFP_", "MLFLOW_", "FINEST_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{database}")
    monkeypatch.setenv("FINEST_STATE", str(tmp_path / "state"))
    return database


@dataclass(frozen=True)
class Said:
    """What a command said and how it ended."""

    code: int
    out: str
    error: str


Call = Callable[..., Said]


@pytest.fixture
def call(
    kfp: FakeKfp, mlflow: Path, compiled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Call:
    """Runs a command against the KFP API, with a config of its own; no Kubernetes API is known unless a test writes a kubeconfig."""
    config = tmp_path / "nightly.yaml"
    config.write_text(CONFIG + f"promote: {{registered_model: {model(tmp_path)}}}\n")
    monkeypatch.setenv("KFP_HOST", kfp.url)
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(tmp_path / "kubeconfig"))
    monkeypatch.setattr("pipeline.cluster.submit.POLL_SECONDS", 0.01)

    def run(command: str, *arguments: str, files: bool = True) -> Said:
        given = ["--config", str(config), "--pipeline", str(compiled)] if files and "--pipeline" not in arguments else []
        given = given or (["--config", str(config)] if files else [])
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["pipeline", command, *given, *arguments])
        code = cli.main()
        said = capsys.readouterr()
        return Said(code, said.out, said.err)

    return run


def model(folder: Path) -> str:
    """The registered model's name of a test."""
    return f"finest-{folder.name}"


def record(run: str, verdict: str | None, failed: tuple[str, str] | None = None) -> str:
    """What a run's steps leave in MLflow: the parent with its verdict, a step that failed. Returns the parent's id."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KFP_RUN_ID", run)
        parent = runs.open_parent({}, source="s3://bucket/interactions", seed=0, tags={})
        client = connect()
        if failed is not None:
            step, error = failed
            child = runs.open_child(client, parent, step, {"step": step, "error": error})
            client.set_terminated(child, "FAILED")
        if verdict is not None:
            client.set_tag(parent, "verdict", verdict)
        runs.close_parent("FAILED" if failed else "FINISHED")
        return parent


def crown(name: str, run: str) -> None:
    """Makes a version that the run registered the champion."""
    client = connect()
    if not [one for one in client.search_registered_models() if one.name == name]:
        client.create_registered_model(name)
    made = client.create_model_version(name, source="file:///nowhere", tags={"kfp_run_id": run})
    client.set_registered_model_alias(name, CHAMPION, made.version)
