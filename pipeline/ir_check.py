"""Finds what a KFP backend rejects, or a local run does silently wrong, in a pipeline that the compiler let pass.

The backend's rules are those of kubeflow/pipelines 2.17, backend/src/v2/driver/resolve.go; the local ones are those of
kfp.local.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

Document = dict[str, Any]

NUMBERS = {"NUMBER_DOUBLE", "NUMBER_INTEGER"}
PLACEHOLDER = re.compile(r"\{\{\$\.inputs\.parameters\['(.+?)'\]\}\}")
PLATFORM_INPUT = re.compile(r"'componentInputParameter': '(.+?)'")
CONDITION = re.compile(r"(?P<negated>!\()?(?P<left>\S+) (?P<operator>[=!]=) (?P<right>\S+?)\)?")
MOST_DRIVERS = 17
"""Largest number of driver pods of a night with one group: those of our steps, and one to spare. A driver takes some
ten seconds and does nothing itself."""


@dataclass(frozen=True)
class _Scope:
    """Holds a DAG of the pipeline: where it stands, its tasks, and the inputs that its tasks may refer to."""

    path: str
    tasks: dict[str, Document]
    inputs: Document

    @property
    def parameters(self) -> Document:
        return dict(self.inputs.get("parameters", {}))

    @property
    def artifacts(self) -> Document:
        return dict(self.inputs.get("artifacts", {}))


def problems(pipeline: Document, platform: Document | None = None) -> list[str]:
    """Returns a line for every problem in a compiled pipeline.

    Args:
        pipeline: The pipeline's specification, the file's first document.
        platform: Its Kubernetes part, the file's second document.
    """
    kubernetes = (
        (platform or {}).get("platforms", {}).get("kubernetes", {}).get("deploymentSpec", {}).get("executors", {})
    )
    found = []
    for scope, name, task in _tasks(pipeline):
        component = pipeline["components"][task["componentRef"]["name"]]
        lines = [*_unknown_inputs(scope, task), *_wrong_types(scope, task, component), *_loop(task)]
        unordered = sorted(_producers(task) - set(task.get("dependentTasks", [])))
        lines += [f"no dependentTasks entry for its producer {producer}" for producer in unordered]
        if label := component.get("executorLabel"):
            container = pipeline["deploymentSpec"]["executors"][label].get("container", {})
            lines += _settings(scope, task, container, kubernetes.get(label, {}))
        found += [f"{scope.path}/{name}: {line}" for line in lines]
    if (count := drivers(pipeline)) > MOST_DRIVERS + 2 * has_loop(pipeline):  # its own, and that of its turn
        found.append(f"root: {count} drivers a night, {MOST_DRIVERS} are enough: flatten what only nests")
    return found


def has_loop(pipeline: Document) -> bool:
    """Tells whether the pipeline does something as often as a step says."""
    return any("parameterIterator" in task for _, _, task in _tasks(pipeline))


def drivers(pipeline: Document, iterations: int = 1) -> int:
    """Counts the driver pods of the longest way through the pipeline.

    The root has one, and so has each task and each turn of a loop, whatever is in it. A task whose condition does not
    hold has one too, and nothing below it.
    """
    comparisons = sorted({comparison for _, _, task in _tasks(pipeline) for comparison in conditions(task)})
    worlds = (dict(zip(comparisons, truths, strict=True)) for truths in product((True, False), repeat=len(comparisons)))
    return 1 + max(_drivers(pipeline, pipeline["root"], iterations, world) for world in worlds)


def _drivers(pipeline: Document, component: Document, iterations: int, world: dict[str, bool]) -> int:
    count = 0
    for task in component.get("dag", {"tasks": {}})["tasks"].values():
        turns = iterations if "parameterIterator" in task else 0
        count += 1 + turns
        if all(world[comparison] == holds for comparison, holds in conditions(task).items()):
            count += max(turns, 1) * _drivers(
                pipeline, pipeline["components"][task["componentRef"]["name"]], iterations, world
            )
    return count


def conditions(task: Document) -> dict[str, bool]:
    """Returns the comparisons that decide whether a task runs, and whether each must hold; none if it always runs."""
    text = " ".join(task.get("triggerPolicy", {}).get("condition", "").split())
    found = {}
    for part in text.split(" && ") if text else ():
        match = CONDITION.fullmatch(part)
        equal, negated = (match["operator"] == "==", bool(match["negated"])) if match else (True, False)
        found[f"{match['left']} == {match['right']}" if match else part] = equal != negated
    return found


def _tasks(pipeline: Document) -> Iterator[tuple[_Scope, str, Document]]:
    """Yields every task with the DAG that it stands in, nested DAGs included."""
    waiting = [_Scope("root", pipeline["root"]["dag"]["tasks"], pipeline["root"].get("inputDefinitions", {}))]
    while waiting:
        scope = waiting.pop(0)
        for name, task in scope.tasks.items():
            yield scope, name, task
            component = pipeline["components"][task["componentRef"]["name"]]
            if "dag" in component:
                waiting.append(
                    _Scope(f"{scope.path}/{name}", component["dag"]["tasks"], component.get("inputDefinitions", {}))
                )


def _parameters(task: Document) -> Document:
    return dict(task.get("inputs", {}).get("parameters", {}))


def _unknown_inputs(scope: _Scope, task: Document) -> Iterator[str]:
    for given in _parameters(task).values():
        source = given.get("componentInputParameter")
        if source is not None and source not in scope.parameters:
            yield f"the parent DAG does not have input parameter {source}"
    for given in task.get("inputs", {}).get("artifacts", {}).values():
        source = given.get("componentInputArtifact")
        if source is not None and source not in scope.artifacts:
            yield f"the parent DAG does not have input artifact {source}"


def _wrong_types(scope: _Scope, task: Document, component: Document) -> Iterator[str]:
    wanted = component.get("inputDefinitions", {}).get("parameters", {})
    for key, given in _parameters(task).items():
        source = scope.parameters.get(given.get("componentInputParameter"))
        if source is None or "parameterExpressionSelector" in given:
            continue
        have, want = source["parameterType"], wanted.get(key, {}).get("parameterType")
        if want not in (None, have, "STRING") and not {want, have} <= NUMBERS:
            yield f"parameter {key} expects {want}, gets {have}"


def _producers(task: Document) -> set[str]:
    given = [spec for kind in task.get("inputs", {}).values() for spec in kind.values()]
    outputs = [spec.get("taskOutputParameter") or spec.get("taskOutputArtifact") or {} for spec in given]
    return {output["producerTask"] for output in outputs if "producerTask" in output}


def _loop(task: Document) -> Iterator[str]:
    if "artifactIterator" in task:
        yield "loops over artifacts, which the backend does not implement"
    if "parameterIterator" not in task:
        return
    items = task["parameterIterator"]["items"].get("inputParameter")
    for key, given in _parameters(task).items():
        output = given.get("taskOutputParameter")
        if output is None:
            continue
        if key != items:
            yield f"{key} enters a loop as a step's output; kfp.local gives the body the loop's item instead"
        elif output["outputParameterKey"] != "Output":
            yield "loops over a named output, which kfp.local cannot"


def _settings(scope: _Scope, task: Document, container: Document, kubernetes: Document) -> Iterator[str]:
    """Yields the parameters that set the image, resources or the pod."""
    resources = container.get("resources", {})
    for setting in [container.get("image"), *resources.values(), *resources.get("accelerator", {}).values()]:
        for parameter in PLACEHOLDER.findall(setting) if isinstance(setting, str) else ():
            source = _parameters(task).get(parameter, {}).get("componentInputParameter")
            if scope.parameters.get(source, {}).get("parameterType") != "STRING":
                yield f"{parameter} sets a resource or the image and must be a STRING (a number reads as empty)"
    for parameter in PLATFORM_INPUT.findall(str(kubernetes)):
        if parameter not in scope.parameters:
            yield f"a platform setting refers to {parameter}, which the parent DAG does not have"
