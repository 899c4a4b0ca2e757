from pathlib import Path
from typing import Any

import pytest
import yaml
from kfp import compiler, dsl

from components.image import IMAGE
from pipeline.cluster.amounts import read
from pipeline.cluster.demand import Argo, Container, Pod, moments, pods
from pipeline.cluster.findings import HealthError
from pipeline.cluster.versions import LOADER
from pipeline.compile import compile_to
from pipeline.config import Config, load
from tests.integration.pipeline import typed_kfp

Document = dict[str, Any]


@pytest.fixture(scope="module")
def documents(tmp_path_factory: pytest.TempPathFactory) -> list[Document]:
    output = tmp_path_factory.mktemp("compiled") / "pipeline.yaml"
    compile_to(output, IMAGE)
    return list(yaml.load_all(output.read_text(), LOADER))


@pytest.fixture(scope="module")
def looped(tmp_path_factory: pytest.TempPathFactory) -> list[Document]:
    """Compiled for more than one group."""
    output = tmp_path_factory.mktemp("looped") / "pipeline.yaml"
    compile_to(output, IMAGE, config=load(None, ["perturb.groups=2"]))
    return list(yaml.load_all(output.read_text(), LOADER))


def pod(documents: list[Document], step: str, argo: Argo | None = Argo(), **placement: Any) -> Pod:  # noqa: B008
    return next(one for one in pods(documents, Config().placement.model_dump() | placement, argo) if one.step == step)


def test_a_step_asks_for_what_the_runs_placement_says(documents: list[Document]) -> None:
    tolerations = [{"key": "gpu", "operator": "Exists"}]
    found = pod(
        documents, "pretrain", cpu="2500m", accelerators="2", tolerations=tolerations, node_selector={"pool": "big"}
    )
    assert found.requests == read({"cpu": "2500m", "memory": "10Gi", "nvidia.com/gpu": "2", "pods": "1"})
    assert found.tolerations == tuple(tolerations) and found.node_selector == {"pool": "big"}
    assert found.keys == {
        "cpu": "placement.cpu",
        "memory": "placement.memory",
        "nvidia.com/gpu": "placement.accelerators",
    }
    assert pod(documents, "ingest", tolerations=tolerations).tolerations == ()


@pytest.mark.parametrize("none", [{"accelerator": ""}, {"accelerators": "0"}])
def test_without_an_accelerator_none_is_asked_for(documents: list[Document], none: dict[str, Any]) -> None:
    assert pod(documents, "pretrain", **none).requests.get("nvidia.com/gpu", 0) == 0


def test_what_the_config_leaves_out_is_the_compiled_pipelines_own(documents: list[Document]) -> None:
    [found] = [one for one in pods(documents, {}, Argo()) if one.step == "ingest"]
    assert found.requests == read({"cpu": "3", "memory": "8Gi", "pods": "1"})


def test_init_containers_come_one_after_the_other_and_before_the_rest() -> None:
    small, large = Container("small", read({"cpu": "1"})), Container("large", read({"cpu": "4", "memory": "1Gi"}))
    assert Pod("x", (small, small), (large, large)).requests == read({"cpu": "4", "memory": "1Gi", "pods": "1"})


def test_what_argo_gives_to_every_pod_is_a_steps_where_it_has_nothing_of_its_own(documents: list[Document]) -> None:
    argo = Argo({"requests": {"cpu": "1"}}, ({"operator": "Exists"},), {"zone": "a"})
    assert pod(documents, "ingest", argo).requests["cpu"] == 4
    assert pod(documents, "KFP's driver", argo).node_selector == {"zone": "a"}
    own = pod(documents, "ingest", argo, other_tolerations=[{"key": "own"}], other_node_selector={"pool": "b"})
    assert own.tolerations == ({"key": "own"},) and own.node_selector == {"zone": "a", "pool": "b"}
    assert pod(documents, "ingest", argo).tolerations == ({"operator": "Exists"},)


def test_where_argos_part_is_not_known_it_is_left_out(documents: list[Document]) -> None:
    assert [one.name for one in pod(documents, "ingest", None).containers] == ["main"]
    assert "KFP's driver" not in [one.step for one in pods(documents, {}, None)]


def test_a_pipeline_without_its_kubernetes_part_is_an_error(documents: list[Document]) -> None:
    with pytest.raises(HealthError, match="compile it again"):
        pods(documents[:1], {}, None)


@pytest.mark.parametrize(("groups", "at_once"), [(1, 1), (3, 3), (40, 8)])
def test_trainings_of_groups_run_together_and_nothing_else_does(
    documents: list[Document], looped: list[Document], groups: int, at_once: int
) -> None:
    documents = looped if groups > 1 else documents
    found = moments(documents[0], groups)
    assert all(len(one) == 1 for one in found)
    assert {
        step: count for one in found for step, count in one.items() if count > 1 or step in ("pretrain", "finetune")
    } == {
        "pretrain": at_once,
        "finetune": at_once,
    }
    assert {step for one in found for step in one} == {step.step for step in pods(documents, {}, None)}


@typed_kfp.component
def work(name: str) -> str:
    return name


@typed_kfp.component
def other(name: str) -> str:
    return name


@typed_kfp.component
def last(name: str) -> None:
    pass


def compiled(pipeline: Any, folder: Path) -> Document:
    compiler.Compiler().compile(pipeline, str(folder / "pipeline.yaml"))
    return dict(next(yaml.load_all((folder / "pipeline.yaml").read_text(), LOADER)))


def test_steps_that_do_not_wait_for_each_other_run_together(tmp_path: Path) -> None:
    @typed_kfp.pipeline(name="apart")
    def apart(name: str = "") -> None:
        first = work(name=name)
        beside = other(name=name)
        last(name=first.output).after(beside)

    found = moments(compiled(apart, tmp_path), 1)
    assert len(found) == 2 and {"work": 1, "other": 1} in found and {"last": 1} in found


def test_branches_of_a_condition_never_run_together(tmp_path: Path) -> None:
    @typed_kfp.pipeline(name="branches")
    def branches(name: str = "") -> None:
        said = work(name=name)
        with dsl.If(said.output == "a"):
            other(name=name)
        with dsl.Elif(said.output == "b"):
            last(name=name)
        with dsl.Else():
            last(name=name)

    found = moments(compiled(branches, tmp_path), 1)
    assert all(sum(one.values()) == 1 for one in found)


def test_a_loop_multiplies_what_is_in_it_beside_what_is_not(tmp_path: Path) -> None:
    @typed_kfp.pipeline(name="loop")
    def loop(name: str = "") -> None:
        with dsl.ParallelFor(["a", "b", "c"], parallelism=2) as item:
            work(name=item)
            other(name=item)
        last(name=name)

    assert moments(compiled(loop, tmp_path), 3) == [{"work": 2, "other": 2, "last": 1}]
