"""Computes what the pods of a run ask for: the compiled pipeline's steps, and what KFP and Argo put beside them."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NamedTuple

from pipeline.cluster.amounts import Amounts, most, read, total
from pipeline.cluster.findings import HealthError
from pipeline.ir_check import conditions

Document = dict[str, Any]
Moment = Counter[str]
"""Steps that may run at the same time, and how many of each."""
PLACEHOLDER = re.compile(r"\{\{\$\.inputs\.parameters\['(?:pipelinechannel--)?(.+?)'\]\}\}")


@dataclass(frozen=True)
class Container:
    """Holds what a container of a pod asks for."""

    name: str
    requests: Amounts = field(default_factory=dict)
    limits: Amounts = field(default_factory=dict)

    @classmethod
    def of(cls, name: str, resources: Mapping[str, Any] | None) -> "Container":
        """Makes a container of its `resources`; what has a limit alone asks for as much, as the API server has it."""
        given = resources or {}
        limits = read(given.get("limits"))
        return cls(name, limits | read(given.get("requests")), limits)


@dataclass(frozen=True)
class Pod:
    """Holds what the pod of a step asks for."""

    step: str
    containers: tuple[Container, ...]
    before: tuple[Container, ...]
    """Init containers, which run one after the other before the rest."""
    tolerations: tuple[Mapping[str, Any], ...] = ()
    node_selector: Mapping[str, str] = field(default_factory=dict)
    keys: Mapping[str, str] = field(default_factory=dict)
    """Keys of `placement` that say how much, by the resource's name."""
    where: tuple[str, ...] = ()
    """Keys of `placement` that say on which nodes."""

    @property
    def requests(self) -> Amounts:
        """Returns what a node must have for the pod, its place among the node's pods included."""
        return self._needed("requests") | {"pods": Decimal(1)}

    @property
    def limits(self) -> Amounts:
        """Returns what the pod may take at most."""
        return self._needed("limits")

    def _needed(self, kind: str) -> Amounts:
        together = total(getattr(one, kind) for one in self.containers)
        return most([together, *(getattr(one, kind) for one in self.before)])


class Argo(NamedTuple):
    """Holds what Argo's controller is told to give every pod."""

    resources: Mapping[str, Any] = {}
    """Resources of Argo's own containers."""
    tolerations: tuple[Mapping[str, Any], ...] = ()
    node_selector: Mapping[str, str] = {}


LAUNCHER = {"requests": {"cpu": "100m"}, "limits": {"cpu": "500m", "memory": "256Mi"}}
"""Resources of KFP 2.17's launcher, an init container of every step."""
DRIVER = {"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"cpu": "500m", "memory": "512Mi"}}
"""Resources of KFP 2.17's driver, a pod of its own before every step."""


def pods(documents: list[Document], placement: Mapping[str, Any], argo: Argo | None) -> list[Pod]:
    """Returns the driver's pod and one for every step.

    Where it is not known what Argo adds, neither that nor the driver is there.
    """
    pipeline, settings = documents[0], kubernetes_settings(documents)
    parameters = pipeline["root"].get("inputDefinitions", {}).get("parameters", {})
    values = {name: one.get("defaultValue") for name, one in parameters.items()} | dict(placement)
    sidecar = () if argo is None else (Container.of("wait", argo.resources),)
    init = () if argo is None else (Container.of("init", argo.resources),)
    usual = argo or Argo()
    driver = Pod("KFP's driver", (Container.of("main", DRIVER), *sidecar), init, usual.tolerations, usual.node_selector)
    found = [] if argo is None else [driver]
    for name, component in pipeline["components"].items():
        if label := component.get("executorLabel"):
            resources, keys = _resources(
                pipeline["deploymentSpec"]["executors"][label]["container"].get("resources", {}), values
            )
            own = settings.get(label, {})
            selector = _parameter(own.get("nodeSelector", {}).get("nodeSelectorJson", {}))
            tolerations = [_parameter(one.get("tolerationJson", {})) for one in own.get("tolerations", [])]
            found.append(
                Pod(
                    step=name.removeprefix("comp-"),
                    containers=(Container.of("main", resources), *sidecar),
                    before=(*init, Container.of("kfp-launcher", LAUNCHER)),
                    tolerations=tuple(each for one in tolerations for each in values.get(one) or [])
                    or usual.tolerations,
                    node_selector={**usual.node_selector, **(values.get(selector) or {})},
                    keys=keys,
                    where=tuple(f"placement.{one}" for one in (selector, *tolerations) if one),
                )
            )
    return found


def kubernetes_settings(documents: list[Document]) -> Document:
    """Returns what the compiled pipeline says of every executor's pod. Raises HealthError where it says nothing."""
    if len(documents) < 2:
        raise HealthError("the compiled pipeline has no Kubernetes part", "compile it again")
    return dict(documents[1]["platforms"]["kubernetes"]["deploymentSpec"]["executors"])


def _resources(given: Document, values: Mapping[str, Any]) -> tuple[Document, dict[str, str]]:
    """Returns the `resources` of a step's own container, and the config keys that say how much of what."""
    asked: Document = {"requests": {}, "limits": {}}
    keys = {}
    accelerator = given.get("accelerator", {})
    kind, _ = _filled(accelerator.get("resourceType"), values)
    for name, requested, limited in (
        ("cpu", given.get("resourceCpuRequest"), given.get("resourceCpuLimit")),
        ("memory", given.get("resourceMemoryRequest"), given.get("resourceMemoryLimit")),
        (kind, None, accelerator.get("resourceCount")),
    ):
        for side, written in (("requests", requested), ("limits", limited)):
            quantity, key = _filled(written, values)
            if name and quantity:
                asked[side][name] = quantity
                keys[name] = key
    return asked, keys


def _filled(written: Any, values: Mapping[str, Any]) -> tuple[str, str]:
    """Returns what stands there once parameters are put in, and the config key of it."""
    parameter = PLACEHOLDER.fullmatch(str(written or ""))
    return (str(values.get(parameter[1]) or ""), f"placement.{parameter[1]}") if parameter else (str(written or ""), "")


def _parameter(source: Document) -> str:
    """Returns the pipeline's parameter that a setting of the pod is taken from."""
    return str(source.get("componentInputParameter", "")).removeprefix("pipelinechannel--")


def moments(pipeline: Document, groups: int) -> list[Moment]:
    """Returns what may run at the same time, at each point of a run that trains in so many groups."""
    return _moments(pipeline, pipeline["root"]["dag"], groups)


def _moments(pipeline: Document, dag: Document, groups: int) -> list[Moment]:
    found: list[Moment] = []
    for together in _together(dag["tasks"]):
        choices: list[Moment] = [Counter()]
        for name in together:
            task = dag["tasks"][name]
            of = task["componentRef"]["name"]
            inner = pipeline["components"][of].get("dag")
            several = _moments(pipeline, inner, groups) if inner else [Counter([of.removeprefix("comp-")])]
            times = (
                min(groups, task.get("iteratorPolicy", {}).get("parallelismLimit", groups))
                if "parameterIterator" in task
                else 1
            )
            choices = [
                left + Counter({step: count * times for step, count in right.items()})
                for left in choices
                for right in several
            ]
        found += choices
    return [one for number, one in enumerate(found) if one not in found[:number]]


def _together(tasks: Mapping[str, Document]) -> Iterator[list[str]]:
    """Returns the largest sets of tasks of which none waits for another and no two are branches of one condition."""
    before = {name: set(task.get("dependentTasks", [])) for name, task in tasks.items()}
    for _ in tasks:
        before = {name: one.union(*(before[earlier] for earlier in one)) for name, one in before.items()}

    def apart(one: str, other: str) -> bool:
        first, second = conditions(tasks[one]), conditions(tasks[other])
        branches = any(second.get(comparison, holds) != holds for comparison, holds in first.items())
        return one in before[other] or other in before[one] or branches

    def grow(chosen: list[str], left: list[str]) -> Iterator[list[str]]:
        fitting = [name for name in left if not any(apart(name, one) for one in chosen)]
        if not fitting:
            yield chosen
        for number, name in enumerate(fitting):
            yield from grow([*chosen, name], fitting[number + 1 :])

    sets = [set(one) for one in grow([], list(tasks))]
    yield from (sorted(one) for one in sets if not any(one < other for other in sets))
