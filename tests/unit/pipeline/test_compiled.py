import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from kfp import compiler, dsl

from components.image import IMAGE
from pipeline.compile import compile_to
from pipeline.ir_check import problems

ROOT = Path(__file__).parents[3]
Document = dict[str, Any]


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> list[Document]:
    output = tmp_path_factory.mktemp("compiled") / "pipeline.yaml"
    compile_to(output, IMAGE)
    return list(yaml.safe_load_all(output.read_text()))


def test_the_compiled_pipeline_in_the_repository_is_current(fresh: list[Document]) -> None:
    checked_in = list(yaml.safe_load_all((ROOT / "pipeline.yaml").read_text()))
    current = checked_in == fresh
    assert current, "pipeline.yaml is not what the code compiles to: run `make compile`"


def test_a_backend_would_take_it(fresh: list[Document]) -> None:
    assert problems(*fresh) == []


def test_every_step_runs_in_the_image_that_was_asked_for(tmp_path: Path) -> None:
    compile_to(tmp_path / "pipeline.yaml", "registry/finest@sha256:0123")
    executors = next(yaml.safe_load_all((tmp_path / "pipeline.yaml").read_text()))["deploymentSpec"]["executors"]
    assert {executor["container"]["image"] for executor in executors.values()} == {"registry/finest@sha256:0123"}


def test_a_changed_threshold_is_an_input_of_the_gate_alone(fresh: list[Document]) -> None:
    given = {name: inputs_of(component) for name, component in fresh[0]["components"].items() if "executorLabel" in component}
    assert {name for name, inputs in given.items() if "gate" in inputs} == {"comp-preflight"}
    assert "config" in given["comp-gate"]


def inputs_of(component: Document) -> set[str]:
    return set(component.get("inputDefinitions", {}).get("parameters", {}))


def loop_body(pipeline: Document) -> Document:
    return next(component for name, component in pipeline["components"].items() if name.startswith("comp-for-loop"))


def tasks(pipeline: Document) -> dict[str, Document]:
    """Every task by name, whatever DAG it is in."""
    dags = [pipeline["root"]["dag"], *(component["dag"] for component in pipeline["components"].values() if "dag" in component)]
    return {name: task for dag in dags for name, task in dag["tasks"].items()}


def loop_task(pipeline: Document) -> Document:
    return next(task for task in tasks(pipeline).values() if "parameterIterator" in task)


def forget_the_order(pipeline: Document, platform: Document) -> None:
    tasks(pipeline)["gate"]["dependentTasks"].remove("champion")


def drop_an_input(pipeline: Document, platform: Document) -> None:
    del loop_body(pipeline)["inputDefinitions"]["parameters"]["pipelinechannel--accelerators"]


def drop_an_artifact(pipeline: Document, platform: Document) -> None:
    del loop_body(pipeline)["inputDefinitions"]["artifacts"]["pipelinechannel--ingest-interactions"]


def make_an_accelerator_a_number(pipeline: Document, platform: Document) -> None:
    loop_body(pipeline)["inputDefinitions"]["parameters"]["pipelinechannel--accelerators"]["parameterType"] = "NUMBER_INTEGER"


def give_text_for_a_struct(pipeline: Document, platform: Document) -> None:
    loop_body(pipeline)["inputDefinitions"]["parameters"]["pipelinechannel--pretrain"]["parameterType"] = "STRING"


def let_an_output_into_the_loop(pipeline: Document, platform: Document) -> None:
    output = {"taskOutputParameter": {"producerTask": "perturb", "outputParameterKey": "Output"}}
    loop_task(pipeline)["inputs"]["parameters"]["pipelinechannel--extra"] = output


def loop_over_a_named_output(pipeline: Document, platform: Document) -> None:
    task = loop_task(pipeline)
    items = task["parameterIterator"]["items"]["inputParameter"]
    task["inputs"]["parameters"][items]["taskOutputParameter"]["outputParameterKey"] = "shards"


def loop_over_artifacts(pipeline: Document, platform: Document) -> None:
    loop_task(pipeline)["artifactIterator"] = {"itemInput": "x", "items": {"inputArtifact": "y"}}


def forget_a_toleration(pipeline: Document, platform: Document) -> None:
    del loop_body(pipeline)["inputDefinitions"]["parameters"]["pipelinechannel--tolerations"]
    for task in loop_body(pipeline)["dag"]["tasks"].values():
        task["inputs"]["parameters"].pop("pipelinechannel--tolerations", None)


@pytest.mark.parametrize(
    ("break_it", "said"),
    [
        (forget_the_order, "gate: no dependentTasks entry for its producer champion"),
        (drop_an_input, "does not have input parameter pipelinechannel--accelerators"),
        (drop_an_artifact, "does not have input artifact pipelinechannel--ingest-interactions"),
        (make_an_accelerator_a_number, "must be a STRING"),
        (give_text_for_a_struct, "expects STRUCT, gets STRING"),
        (let_an_output_into_the_loop, "enters a loop as a step's output"),
        (loop_over_a_named_output, "loops over a named output"),
        (loop_over_artifacts, "loops over artifacts"),
        (forget_a_toleration, "a platform setting refers to pipelinechannel--tolerations"),
    ],
)
def test_the_check_finds_a_fault(fresh: list[Document], break_it: Callable[[Document, Document], None], said: str) -> None:
    pipeline, platform = copy.deepcopy(fresh)
    break_it(pipeline, platform)
    found = problems(pipeline, platform)
    assert any(said in problem for problem in found), found


def test_the_check_finds_what_the_compiler_forgets_in_a_group(tmp_path: Path) -> None:
    @dsl.component(base_image="x", install_kfp_package=False)
    def work(config: dict):  # type: ignore[no-untyped-def]
        pass

    @dsl.pipeline(name="forgetful")
    def forgetful(config: dict = {}, memory: str = "1Gi"):  # type: ignore[no-untyped-def]  # noqa: B006
        with dsl.ExitHandler(work(config=config)):
            work(config=config).set_memory_limit(memory)

    compiler.Compiler().compile(forgetful, str(tmp_path / "pipeline.yaml"))
    assert any("memory" in problem for problem in problems(*yaml.safe_load_all((tmp_path / "pipeline.yaml").read_text())))
