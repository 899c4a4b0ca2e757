import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from finest.data.schema import Manifest
from finest.memory.registry import FEATURES
from finest.models.registry import MODELS
from finest.models.saved import Facts, load, recommend
from tracking import package, production, promotion, registry, runs, store
from tracking.promotion import Judged

NAME = "finest-test"
PREDICT = """
import json, sys
import mlflow, pandas as pd
model = mlflow.pyfunc.load_model(sys.argv[1])
answers = [model.predict(pd.DataFrame(request)).to_dict("list") for request in json.loads(sys.argv[2])]
import finest.models.saved
print(json.dumps({"answers": answers, "finest": finest.models.saved.__file__, "pyarrow": "finest.data" in sys.modules}))
"""
REQUESTS: list[dict[str, Any]] = [
    {"history": [["i001", "i002", "i003"], ["i004"], [f"i{number:03d}" for number in range(12)]]},
    {"history": [["i001", "unknown", "i002", "i003"], ["unknown"], []], "k": [3, 4, 5]},
    {"history": [["i005"]], "k": [1000]},
]


@pytest.fixture
def champion(state: Path, judged: Callable[..., Judged]) -> registry.Version:
    runs.open_parent(
        {"pretrain": {"model": {"name": "sasrec"}}}, line="finest", source="/data/ml-100k.inter", seed=0, tags={}
    )
    with runs.step_run("reject") as run:
        version = promotion.register(run, NAME, judged(0))
    return production.make(production.promotion(NAME, version.version, force=True), "a test")


def answers(python: str, model: str, cwd: Path) -> Any:
    """What a fresh process, outside of the checkout, gets from the model for REQUESTS."""
    environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "KFP_RUN_ID")}
    environment |= {
        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
        "MLFLOW_TRACKING_URI": store.uri(),
        "CUDA_VISIBLE_DEVICES": "",
    }
    command = [python, "-W", "ignore", "-c", PREDICT, model, json.dumps(REQUESTS)]
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def expect_offline_lists(found: dict[str, Any], model: Path) -> None:
    saved = load(model)
    first, second, third = found["answers"]
    items, scores = recommend(saved, REQUESTS[0]["history"], 10)
    assert (first["items"], first["scores"]) == (items, [pytest.approx(row) for row in scores])
    short, _ = recommend(saved, [["i001", "i002", "i003"]], 3)
    assert second["items"] == [short[0], [], []] and second["scores"][1:] == [[], []]
    assert sorted(third["items"][0]) == [f"i{number:03d}" for number in range(30) if number != 5]


def test_a_fresh_process_serves_the_champion_with_the_packages_own_code_and_no_pickle(
    champion: registry.Version, model_folder: Callable[[int], Path], tmp_path: Path
) -> None:
    found = answers(sys.executable, f"models:/{NAME}@champion", tmp_path)
    expect_offline_lists(found, model_folder(0))
    assert "/code/finest/models/saved.py" in found["finest"] and not found["pyarrow"]


def test_the_package_names_columns_requirements_and_holds_no_pickle(champion: registry.Version, tmp_path: Path) -> None:
    folder = registry.download(champion, tmp_path / "download").parents[1]
    described = yaml.safe_load((folder / "MLmodel").read_text())
    inputs = {column["name"]: column["required"] for column in json.loads(described["signature"]["inputs"])}
    assert inputs == {"history": True, "k": False, "timestamps": False}
    assert len(json.loads((folder / "input_example.json").read_text())["data"]) >= 2
    requirements = (folder / "requirements.txt").read_text().split()
    assert {line.partition("==")[0] for line in requirements} == {
        "mlflow",
        "numpy",
        "pandas",
        "pydantic",
        "pydantic_core",
        "safetensors",
        "scipy",
        "torch",
    }
    assert all("==" in line and "+" not in line for line in requirements)
    assert not [path for path in folder.rglob("*") if path.suffix in (".pkl", ".pickle", ".pt", ".pth", ".pyc")]
    assert "Trained without its held-out rows" in (folder / "artifacts" / "model_card.md").read_text()


def test_the_models_page_shows_the_verdicts_metrics_on_the_data_set(
    champion: registry.Version, manifest: Manifest
) -> None:
    client = store.connect()
    raw = client.get_model_version(NAME, champion.version)
    assert raw.source and raw.description
    model = client.get_logged_model(raw.source.removeprefix("models:/"))
    metrics = {metric.key: (metric.value, metric.dataset_digest) for metric in model.metrics or []}
    assert metrics["rls/rbo"] == (0.9, manifest.fingerprint[:36])
    assert model.source_run_id == champion.mlflow_run_id == runs.find_parent()
    assert model.params["pretrain.model.name"] == "sasrec"
    assert "Trained without its held-out rows" in raw.description and "all rules hold" in raw.description


def test_the_package_carries_every_module_of_finest_that_it_imports_and_no_other() -> None:
    config = MODELS["gru4rec"].Config.model_validate({})
    facts = Facts(model=config, seed=0, data_fingerprint="", depth=10, exclude_seen=True, stage="tuned")
    files, _ = package.needed(facts)
    names = {"/".join(file.parts[file.parts.index("finest") :]) for file in files}
    assert {
        "finest/__init__.py",
        "finest/errors.py",
        "finest/keys.py",
        "finest/models/saved.py",
        "finest/models/gru4rec.py",
    } <= names
    assert not [
        name for name in names if name.startswith(("finest/data", "finest/gate", "finest/training", "finest/ranklists"))
    ]


@pytest.mark.slow
def test_the_package_loads_in_an_environment_made_from_its_own_requirements_alone(
    champion: registry.Version, model_folder: Callable[[int], Path], tmp_path: Path
) -> None:
    folder = registry.download(champion, tmp_path / "download").parents[1]
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    python = tmp_path / "venv" / "bin" / "python"
    installed = subprocess.run(
        [python, "-m", "pip", "install", "-q", "-r", folder / "requirements.txt"], capture_output=True, text=True
    )
    assert installed.returncode == 0, installed.stderr
    found = answers(str(python), str(folder), tmp_path)
    expect_offline_lists(found, model_folder(0))
    assert found["finest"].startswith(str(folder))


def test_the_package_of_a_feature_that_is_served_is_a_requirement(monkeypatch: pytest.MonkeyPatch) -> None:
    list(FEATURES)
    point = SimpleNamespace(name="mood", dist=SimpleNamespace(name="moods", version="2.1"))
    monkeypatch.setattr(FEATURES, "_points", {"mood": point})
    config = MODELS["gru4rec"].Config.model_validate({})
    facts = Facts(model=config, seed=0, data_fingerprint="", depth=10, exclude_seen=True, stage="tuned")
    weights = {"network": 1.0, "popularity": 0.5, "follows": 0.1}
    assert "moods==2.1" not in package.needed(facts.model_copy(update={"memory": weights}))[1]
    assert "moods==2.1" in package.needed(facts.model_copy(update={"memory": {**weights, "mood": 0.2}}))[1]
