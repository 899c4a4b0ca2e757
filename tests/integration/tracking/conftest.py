"""A store of its own for every test (SQLite, copied from one that was created once), a small model, and a verdict."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from finest.data.schema import SCHEMA_VERSION, Manifest
from finest.gate.verdict import Accuracy, Estimate, RuleResult, ScenarioResult, Verdict
from finest.models.config import SASRecConfig
from finest.models.registry import build
from finest.models.saved import Facts, load, recommend, save
from tests.canaries import in_process
from tracking import ledger, production, promotion, registry, runs, store
from tracking.promotion import NOBODY, Before, Judged, Person
from tracking.sample import Sample

ITEMS = 30
NAME = "finest-test"
Begun = Callable[[str, Callable[[], object]], None]
HISTORIES = [["i001", "i002", "i003"], ["i004"], ["i005", "i001"]]


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MLflow's tables without an experiment of ours; creating them takes a second."""
    folder = tmp_path_factory.mktemp("template")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FINEST_STATE", str(folder))
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        store.connect().search_experiments()
    return folder / "mlflow" / "mlflow.db"


@pytest.fixture
def state(tmp_path: Path, empty_database: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The state folder of pipeline run `run-1`."""
    folder = tmp_path / "st [x] 'q' & 100% of"
    (folder / "mlflow").mkdir(parents=True)
    shutil.copy(empty_database, folder / "mlflow" / "mlflow.db")
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_ID", "MLFLOW_EXPERIMENT_NAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("FINEST_STATE", str(folder))
    monkeypatch.setenv("KFP_RUN_ID", "run-1")
    yield folder


@pytest.fixture(scope="session")
def made_states(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for states that several tests begin with."""
    return tmp_path_factory.mktemp("states")


@pytest.fixture
def begun(state: Path, made_states: Path) -> Begun:
    """Brings the state to where `make` brings it: the first test that asks by that name makes it, the others copy it.

    A store that is not in the state has to be brought there each time.
    """

    def bring(name: str, make: Callable[[], object]) -> None:
        kept = made_states / name
        if "MLFLOW_TRACKING_URI" in os.environ:
            make()
        elif kept.exists():
            shutil.copytree(kept, state, dirs_exist_ok=True)
        else:
            make()
            shutil.copytree(state, kept)

    return bring


@pytest.fixture
def manifest() -> Manifest:
    return Manifest(
        schema_version=SCHEMA_VERSION,
        fingerprint="ab" * 32,
        depth=10,
        exclude_seen=True,
        source_rows=100,
        quarantined_rows=0,
        quarantined_by_reason={},
        kcore_dropped_rows=0,
        interactions=100,
        users=5,
        items=ITEMS,
        train_interactions=90,
        test_interactions=10,
        instances=10,
        cold_rows=0,
        targets_outside_catalogue=0,
        targets_in_history=0,
        repeated_share=0.0,
        users_cut_inside_a_tie=0,
        first_timestamp=0,
        last_timestamp=9,
        last_train_timestamp=8,
        split={"method": "last_fraction", "fraction": 0.1},
    )


@pytest.fixture
def model_folder(tmp_path: Path) -> Callable[[int], Path]:
    """Writes a small model whose weights depend on the seed."""

    def write(seed: int = 0) -> Path:
        config = SASRecConfig(hidden_size=8, num_layers=1, max_length=6)
        model = build(config, ITEMS)
        model.initialise(seed, scale=0.5)
        folder = tmp_path / f"candidate-{seed}"
        facts = Facts(model=config, seed=seed, data_fingerprint="ab" * 32, depth=10, exclude_seen=True, stage="tuned")
        save(folder, model, facts, ["", *(f"i{number:03d}" for number in range(ITEMS))])
        return folder

    return write


@pytest.fixture
def verdict() -> Callable[..., Verdict]:
    """A verdict with one scenario, or with other fields."""

    def make(**fields: object) -> Verdict:
        same = {
            "rbo": Estimate(mean=0.9, low=0.88, high=0.92),
            "jaccard_at_10": Estimate(mean=0.8, low=0.78, high=0.82),
        }
        lower = {
            "rbo": Estimate(mean=0.85, low=0.83, high=0.87),
            "jaccard_at_10": Estimate(mean=0.7, low=0.68, high=0.72),
        }
        scenario = ScenarioResult(
            name="random-deletion-0.001-s0",
            role="probe",
            group="0",
            kind="deletion",
            edits=1,
            tuned=same,
            base=lower,
            histogram={"tuned": [0.05] * 20, "base": [0.05] * 20},
        )
        accuracy = Accuracy(
            name="candidate",
            mrr=0.05,
            recall_at_10=0.1,
            ndcg_at_10=0.07,
            coverage_at_10=0.4,
            overlap=0.2,
            plasticity=0.5,
        )
        base = {
            "verdict": "pass",
            "reason": "all rules hold",
            "protocol": "anchored",
            "given": "given shared references",
            "reference": "base",
            "scenarios": [scenario],
            "accuracy": [accuracy],
            "metrics": {"rls/rbo": 0.9, "rls/jaccard_at_10": 0.8, "accuracy/mrr": 0.05},
        }
        held = RuleResult(rule="sanity", name="sanity", value=None, bound=None, status="pass", sentence="It holds.")
        return Verdict.model_validate(base | {"rules": [held] if "verdict" not in fields else []} | fields)

    return make


@pytest.fixture
def judged(
    model_folder: Callable[[int], Path], verdict: Callable[..., Verdict], manifest: Manifest
) -> Callable[..., Judged]:
    """A candidate with weights of that seed; `lists` is the seed of the model whose lists the gate saw."""

    def found(seed: int, lists: int | None = None, fingerprint: str = "", **fields: object) -> Judged:
        of = load(model_folder(seed if lists is None else lists))
        of_data = manifest.model_copy(update={"fingerprint": fingerprint} if fingerprint else {})
        return Judged(model_folder(seed), verdict(**fields), of_data, Sample(HISTORIES, *recommend(of, HISTORIES, 10)))

    return found


def before(line: str, expected: str | None) -> Before:
    """What a night saw as it began: that version, by the newest move to it."""
    moves = [one.number for one in ledger.read(line).moves if one.entry and one.entry.to_version == expected]
    return Before(expected or "", max(moves, default=0))


@pytest.fixture
def promoted(
    state: Path, judged: Callable[..., Judged], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., registry.Version]:
    """The promote step of a pipeline run whose candidate has weights of that seed.

    `lists` is the seed of the model whose lists the gate saw.
    """

    def step(
        kfp_run: str,
        seed: int,
        expected: str | Before | None,
        lists: int | None = None,
        person: Person = NOBODY,
        **fields: object,
    ) -> registry.Version:
        monkeypatch.setenv("KFP_RUN_ID", kfp_run)
        runs.open_parent({}, line="finest", source="data.csv", seed=seed, tags={})
        with runs.step_run("promote") as run:
            seen = expected if isinstance(expected, Before) else before(NAME, expected)
            return promotion.promote(run, NAME, judged(seed, lists, **fields), seen, in_process, person)

    return step


def version(line: str, verdict: str = "pass", **tags: str) -> str:
    """Registers a version without files, as what a ledger is about."""
    client = store.connect()
    if not [one for one in client.search_registered_models() if one.name == line]:
        client.create_registered_model(line)
    made = client.create_model_version(
        line, source=f"elsewhere:/{os.urandom(4).hex()}", tags={"verdict": verdict} | tags
    )
    return str(made.version)


def moved(line: str, to: str, why: str = "a test") -> registry.Version:
    return production.make(production.promotion(line, to, force=True), why)


@pytest.fixture
def line(state: Path) -> str:
    """A line of three versions, the third of which is champion."""
    for _ in range(3):
        moved(NAME, version(NAME, ledger="since"))
    return NAME
