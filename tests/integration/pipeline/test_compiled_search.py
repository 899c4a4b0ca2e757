"""The pipeline of a search, compiled for a cluster."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from components.image import IMAGE
from finest.errors import ConfigError
from pipeline.cluster import parameters, submit
from pipeline.cluster.versions import LOADER
from pipeline.compile import compile_to
from pipeline.config import Config, load
from pipeline.inputs import of
from pipeline.ir_check import problems
from pipeline.policy import POLICIES, SEARCH

ROOT = Path(__file__).parents[3]
SETS = ["source=s3://bucket/interactions", "checkpoints=s3://bucket/checkpoints"]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("search") / "search.yaml"
    compile_to(output, IMAGE, config=load(None, SETS), which="search")
    return output


@pytest.fixture(scope="module")
def documents(file: Path) -> list[dict[str, Any]]:
    return list(yaml.load_all(file.read_text(), LOADER))


def executors(documents: list[dict[str, Any]]) -> set[str]:
    return {name.removeprefix("exec-") for name in documents[0]["deploymentSpec"]["executors"]}


def test_a_backend_would_take_it_and_it_searches_instead_of_training(documents: list[dict[str, Any]]) -> None:
    assert problems(*documents) == []
    assert executors(documents) == {"preflight", "ingest", "tune", "notify"} and set(SEARCH) == {"tune"}


def test_it_has_a_gpu_shared_memory_and_attempts_that_go_on(documents: list[dict[str, Any]]) -> None:
    container = documents[0]["deploymentSpec"]["executors"]["exec-tune"]["container"]
    assert "accelerator" in container["resources"]
    pod = documents[1]["platforms"]["kubernetes"]["deploymentSpec"]["executors"]["exec-tune"]
    assert pod["emptyDirMounts"][0]["mountPath"] == "/dev/shm"
    assert int(pod["activeDeadlineSeconds"]) >= POLICIES["tune"].minutes * 60
    field = Config.model_fields["tune"].default.__class__.model_fields["minutes"]
    assert max(one.le for one in field.metadata if hasattr(one, "le")) < POLICIES["tune"].minutes
    text = yaml.safe_dump(documents[0])
    assert (
        "retryPolicy" in text
        and "checkpoints" in documents[0]["components"]["comp-tune"]["inputDefinitions"]["parameters"]
    )


def test_its_space_and_budget_are_a_parameter_that_a_night_does_not_have(
    file: Path, documents: list[dict[str, Any]]
) -> None:
    assert "tune" in documents[0]["root"]["inputDefinitions"]["parameters"]
    assert "tune" not in of(Config()) and "tune" in of(Config(), searches=True)
    changed = parameters.given(load(None, [*SETS, "tune.minutes=90", "pretrain.lr=0.001"]), file)
    assert changed.keys() == {"tune", "pretrain"} and changed["tune"]["minutes"] == 90
    night = yaml.load((ROOT / "pipeline.yaml").read_text().split("\n---")[0], LOADER)
    assert parameters.searches(documents[0]) and not parameters.searches(night)


def test_it_is_not_followed_to_a_verdict_that_it_never_has(file: Path) -> None:
    with pytest.raises(ConfigError, match="add --detach"):
        submit.check_followable(file)
    submit.check_followable(ROOT / "pipeline.yaml")
