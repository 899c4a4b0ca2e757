"""A KFP API that answers as we say, an MLflow store in SQLite, and the command line in this process."""

import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pytest

from components.image import IMAGE
from components.lines import readable
from finest.gate.outcome import decide
from finest.gate.verdict import RuleResult, Verdict
from pipeline import cli
from pipeline.compile import compile_to
from pipeline.config import load
from tests.services import fake_kubernetes, recorded
from tests.services.fake_kfp import FakeKfp, serve
from tests.services.fake_kubernetes import FakeKubernetes
from tracking import closing, runs
from tracking.ledger import CHAMPION
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
def looped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same for more than one group."""
    file = tmp_path_factory.mktemp("looped") / "pipeline.yaml"
    compile_to(file, IMAGE, config=load(None, ["source=s3://bucket/interactions", "perturb.groups=2"]))
    return file


@pytest.fixture(scope="session")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One MLflow store for all tests; each has pipeline runs and a registered model of its own."""
    return tmp_path_factory.mktemp("mlflow") / "mlflow.db"


@pytest.fixture
def mlflow(embedded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The environment of someone who uses that store."""
    for name in [name for name in os.environ if name.startswith(("KFP_", "MLFLOW_", "FINEST_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{embedded}")
    monkeypatch.setenv("FINEST_STATE", str(tmp_path / "state"))
    return embedded


@dataclass(frozen=True)
class Said:
    """What a command said and how it ended."""

    code: int
    out: str
    error: str


Call = Callable[..., Said]
Replay = Callable[..., str]


@pytest.fixture
def call(
    kfp: FakeKfp,
    mlflow: Path,
    compiled: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Call:
    """Runs a command against the KFP API, with a config of its own.

    No Kubernetes API is known unless a test writes a kubeconfig.
    """
    config = tmp_path / "nightly.yaml"
    config.write_text(CONFIG + f"name: {model(tmp_path)}\n")
    monkeypatch.setenv("KFP_HOST", kfp.url)
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(tmp_path / "kubeconfig"))
    monkeypatch.setattr("pipeline.cluster.follow.POLL_SECONDS", 0.01)

    def run(command: str, *arguments: str, files: bool = True) -> Said:
        given = ["--config", str(config)] if files else []
        if files and command != "status" and "--pipeline" not in arguments:
            given += ["--pipeline", str(compiled)]
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["pipeline", command, *given, *arguments])
        code = cli.main()
        said = capsys.readouterr()
        return Said(code, said.out, said.err)

    return run


@pytest.fixture
def kubernetes(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeKubernetes]:
    """A Kubernetes API that commands find by their kubeconfig."""
    with fake_kubernetes.serve() as server:
        file = server.kubeconfig(tmp_path / "kubeconfig")
        monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(file))
        yield server


@pytest.fixture
def replay(kfp: FakeKfp, monkeypatch: pytest.MonkeyPatch) -> Iterator[Replay]:
    """Has the KFP API tell the life of a recorded run, whose id it gives.

    The clock here goes along, in UTC, and a terminal has 80 columns. `meanwhile` is told the time before each answer.
    """
    monkeypatch.setattr("pipeline.options.WIDTH", 80)
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "UTC")
        time.tzset()

        def start(name: str, meanwhile: Callable[[datetime], None] = lambda at: None) -> str:
            life = recorded.life(recorded.answer(name))
            clock = [life[0].at]

            def tick(at: datetime) -> None:
                clock.append(at)
                meanwhile(at)

            kfp.on_poll = tick
            monkeypatch.setattr("pipeline.cluster.follow.now", lambda: clock[-1])
            return kfp.replay(life)

        yield start
    time.tzset()


def model(folder: Path) -> str:
    """The name of a test's line."""
    return readable(folder.name)


def judged(verdict: str, reason: str = "All 9 checks hold.", rules: Sequence[RuleResult] = ()) -> Verdict:
    """A verdict of which nothing was measured; where no rules are given, one that its decision follows from."""
    held = decide("collapse.popularity", verdict == "pass", "The candidate beats the most popular items.")
    found = {
        "verdict": verdict,
        "reason": reason,
        "protocol": "anchored",
        "given": "",
        "reference": "base",
        "rules": list(rules) or [held],
    }
    return Verdict.model_validate(found)


def record(run: str, verdict: str | Verdict | None, failed: tuple[str, str] | None = None, line: str = "finest") -> str:
    """What a run's steps leave in MLflow: the parent with its config and verdict, a step that failed.

    Returns the parent's id.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KFP_RUN_ID", run)
        parent = runs.open_parent({}, line=line, source="s3://bucket/interactions", seed=0, tags={})
        client = connect()
        if failed is not None:
            step, error = failed
            child = runs.open_child(client, parent, step, {"step": step, "error": error})
            client.set_terminated(child, "FAILED")
        if verdict is not None:
            whole = judged(verdict) if isinstance(verdict, str) else verdict
            client.set_tag(parent, "verdict", whole.verdict)
            client.log_text(parent, whole.model_dump_json(), "verdict.json")
        closing.close_parent("FAILED" if failed else "FINISHED")
        return parent


def crown(name: str, run: str) -> None:
    """Makes a version that the run registered the champion."""
    client = connect()
    if not [one for one in client.search_registered_models() if one.name == name]:
        client.create_registered_model(name)
    parent = runs.parent_of(client, run)
    source = client.get_run(parent).info.artifact_uri if parent else "file:///nowhere"
    made = client.create_model_version(name, source=source, run_id=parent, tags={"kfp_run_id": run})
    client.set_registered_model_alias(name, CHAMPION, made.version)
