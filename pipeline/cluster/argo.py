"""Tells what Argo's controller does beside what the compiled pipeline asks for: its own containers, and retries."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from pipeline.cluster.demand import Argo, Document
from pipeline.cluster.findings import HealthError, NotCheckedError
from pipeline.cluster.kube import KFP_NAMESPACE, Kube

CONFIG_MAP = "workflow-controller-configmap"
EXECUTOR, DEFAULTS = "executor", "workflowDefaults"
"""Keys of the controller's configuration that are read."""
WANTED = {
    "limit": "2",
    "retryPolicy": "Always",
    "expression": "lastRetry.status == 'Error' || asInt(lastRetry.exitCode) > 0",
}
"""Defaults that retry containers that fail and pods that are lost, and no level of the pipeline above them: those have
no exit code."""
PATCH = Path(__file__).with_name("retries.yaml")
"""File of the patch for kubectl that puts WANTED into what KFP 2.17 comes with."""
POLICIES = ("Always", "OnFailure", "OnError", "OnTransientError")


class Retries(NamedTuple):
    """Holds Argo's retry strategy for a template: limit, policy and expression, as Argo takes them."""

    limit: str
    policy: str
    expression: str

    @classmethod
    def of(cls, *given: Mapping[str, Any]) -> "Retries":
        """Makes one of several strategies, of which a later one goes before an earlier one, key by key."""
        merged = {name: value for one in given for name, value in one.items() if value not in (None, "")}
        expression = " ".join(str(merged.get("expression", "")).split())
        policy = str(merged.get("retryPolicy") or ("Always" if expression else "OnFailure"))
        return cls(str(merged.get("limit", "")), policy, expression)

    @property
    def failed(self) -> bool:
        """Tells whether a container is tried again that exits with an error or is killed for want of memory."""
        return self.policy in ("Always", "OnFailure")

    @property
    def lost(self) -> bool:
        """Tells whether a pod that is lost is tried again."""
        return self.policy in ("Always", "OnError", "OnTransientError")


def settings(kube: Kube) -> dict[str, Any]:
    """Reads the controller's configuration. Raises NotCheckedError, HealthError where Argo could not read it."""
    found = kube.get(kube.core.read_namespaced_config_map, f"ConfigMaps of {KFP_NAMESPACE}", CONFIG_MAP, KFP_NAMESPACE)
    if found is None:
        fix = "see the arguments of KFP's deployment workflow-controller"
        raise NotCheckedError(
            f"{KFP_NAMESPACE} has no ConfigMap {CONFIG_MAP}, so Argo's controller is configured elsewhere", fix
        )
    data = found.data or {}
    return (
        _mapping(data["config"], "config")
        if "config" in data
        else {name: _mapping(data.get(name), name) for name in (EXECUTOR, DEFAULTS)}
    )


def beside(kube: Kube) -> Argo | None:
    """Returns what every pod gets from Argo; None where that is not known."""
    try:
        known = settings(kube)
    except (NotCheckedError, HealthError):
        return None
    spec = _part(known, DEFAULTS, "spec")
    return Argo(_part(known, EXECUTOR, "resources"), tuple(spec.get("tolerations") or ()), _part(spec, "nodeSelector"))


def check_retries(kube: Kube, documents: list[Document]) -> str:
    """Returns what happens to a step that fails, runs out of memory or loses its pod.

    Raises HealthError where it is not tried again.
    """
    defaults = _part(settings(kube), DEFAULTS, "spec")
    levels = _part(defaults, "templateDefaults", "retryStrategy") or _part(defaults, "retryStrategy")
    steps = [Retries.of(_part(defaults, "templateDefaults", "retryStrategy"), own) for own in _own(documents[0])]
    above, fix = Retries.of(levels), _fix(defaults)
    if not steps:
        raise HealthError("the compiled pipeline asks for no retries", "compile it again")
    if unknown := {one.policy for one in steps} - set(POLICIES):
        raise HealthError(f"Argo's defaults have the retryPolicy {min(unknown)}, which it does not know", fix)
    if strange := {one.expression for one in (*steps, above)} - {"", WANTED["expression"]}:
        why = f"Argo's defaults decide on retries by an expression of their own: {min(strange)}"
        raise NotCheckedError(
            why, f"see that it holds for a container that failed and not for a level above (exit code -1), or {fix}"
        )
    if levels and above.failed and not above.expression:
        why = f"Argo's defaults have retryPolicy {above.policy} without an expression, so attempts multiply"
        raise HealthError(f"{why}: every level of the pipeline above a step that fails is tried again as well", fix)
    if levels and not above.limit:
        raise HealthError("Argo's defaults retry without a limit: what has no limit of its own is tried for ever", fix)
    times = _times(steps)
    failing, losing = {one.policy for one in steps if not one.failed}, {one.policy for one in steps if not one.lost}
    if failing:
        rest = "" if losing else f"; one whose pod is lost is, {times}"
        why = (
            "a step whose container fails or runs out of memory is never tried again (retryPolicy "
            f"{min(failing)}){rest}"
        )
        raise HealthError(why, fix)
    if losing:
        why = (
            "a step whose pod is lost (a preemption, a node that goes) is never tried again (retryPolicy "
            f"{min(losing)})"
        )
        raise HealthError(f"{why}; one whose container fails is, {times}", fix)
    return (
        f"a step whose container fails, runs out of memory or whose pod is lost is tried again {times} (retryPolicy "
        f"{steps[0].policy})"
    )


def _own(pipeline: Document) -> Iterator[dict[str, Any]]:
    """Returns the strategies that the compiled pipeline asks for, one for every step that has one."""
    dags = [pipeline["root"]["dag"], *(one["dag"] for one in pipeline["components"].values() if "dag" in one)]
    for task in (task for dag in dags for task in dag["tasks"].values()):
        if given := task.get("retryPolicy"):
            policy = str(given.get("policy", "")).removeprefix("POLICY_").title().replace("_", "")
            yield {"limit": given.get("maxRetryCount"), "retryPolicy": "" if policy == "Unspecified" else policy}


def _times(steps: list[Retries]) -> str:
    limits = sorted({int(one.limit) for one in steps if one.limit.isdigit()})
    return f"at most {' or '.join(map(str, limits))} times" if limits else "without a limit"


def _fix(defaults: Mapping[str, Any]) -> str:
    """Returns how the strategy comes into the defaults: by our patch where it changes nothing else, else by hand."""
    with_ours = {**defaults, "templateDefaults": {**_part(defaults, "templateDefaults"), "retryStrategy": WANTED}}
    if _part(_mapping(yaml.safe_load(PATCH.read_text())["data"][DEFAULTS], DEFAULTS), "spec") == with_ours:
        return f"kubectl -n {KFP_NAMESPACE} patch configmap {CONFIG_MAP} --type merge --patch-file {PATCH}"
    strategy = yaml.safe_dump(WANTED, default_flow_style=True, width=1000, sort_keys=False).strip()
    where = f"ConfigMap {CONFIG_MAP} of {KFP_NAMESPACE}, key {DEFAULTS}"
    return f"in {where}, make spec.templateDefaults.retryStrategy {strategy}, and leave the rest as it is"


def _part(of: Mapping[str, Any], *path: str) -> Mapping[str, Any]:
    """Returns what stands at the path; nothing where there is none."""
    for name in path:
        inner = of.get(name)
        of = inner if isinstance(inner, dict) else {}
    return of


def _mapping(text: Any, key: str) -> dict[str, Any]:
    try:
        found = yaml.safe_load(text or "")
    except yaml.YAMLError:
        fix = f"correct it: kubectl -n {KFP_NAMESPACE} edit configmap {CONFIG_MAP}"
        raise HealthError(f"the key {key} of {CONFIG_MAP} is not valid YAML, so Argo cannot read it", fix) from None
    return found if isinstance(found, dict) else {}
