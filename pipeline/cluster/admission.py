"""Tells what a namespace lets in: its limit ranges and quotas, as the API server applies them to a pod."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, NamedTuple

from pipeline.cluster.amounts import Amounts, less, read, shown
from pipeline.cluster.demand import Container, Pod
from pipeline.cluster.kube import Kube

COMPUTE = ("cpu", "memory")
"""Resources of which a quota on requests or limits refuses pods with a container that names none."""


class Refusal(NamedTuple):
    """Holds why pods are not let in."""

    text: str
    """Sentence with {} where the pods' names go."""
    fix: str
    nodes: bool = False
    """Whether nodes are wanting, which may be added."""


@dataclass(frozen=True)
class Range:
    """Holds an entry of a limit range: bounds of a container or a pod, and what containers get that name nothing."""

    name: str
    kind: str
    """`Container` or `Pod`."""
    min: Amounts
    max: Amounts
    ratio: Amounts
    requests: Amounts
    limits: Amounts


@dataclass(frozen=True)
class Quota:
    """Holds a quota that counts the run's pods."""

    name: str
    hard: Amounts
    used: Amounts

    @property
    def free(self) -> Amounts:
        """Returns what of the quota is not used."""
        return less(self.hard, self.used)


def read_ranges(kube: Kube, namespace: str) -> list[Range]:
    """Reads the namespace's limit ranges. Raises NotCheckedError."""
    answer = kube.get(kube.core.list_namespaced_limit_range, f"limit ranges of {namespace}", namespace)
    return [
        Range(
            one.metadata.name,
            entry.type,
            read(entry.min),
            read(entry.max),
            read(entry.max_limit_request_ratio),
            read(entry.default_request),
            read(entry.default),
        )
        for one in (answer.items if answer else [])
        for entry in one.spec.limits
    ]


def read_quotas(kube: Kube, namespace: str) -> list[Quota]:
    """Reads the namespace's quotas, as far as they count the run's pods. Raises NotCheckedError."""
    answer = kube.get(kube.core.list_namespaced_resource_quota, f"quotas of {namespace}", namespace)
    return [
        Quota(one.metadata.name, read(one.spec.hard), read(one.status.used if one.status else None))
        for one in (answer.items if answer else [])
        if _counts(one.spec)
    ]


def admitted(pod: Pod, ranges: Iterable[Range]) -> Pod:
    """Returns the pod with what limit ranges give to containers that name nothing."""
    for one in ranges:
        if one.kind == "Container":
            containers, before = (
                tuple(_defaulted(each, one) for each in several) for several in (pod.containers, pod.before)
            )
            pod = replace(pod, containers=containers, before=before)
    return pod


def refusals(pod: Pod, ranges: Iterable[Range], quotas: Iterable[Quota]) -> list[Refusal]:
    """Returns why the namespace never lets the pod in, once it is `admitted`."""
    found = []
    for one in ranges:
        held = {"Container": (*pod.containers, *pod.before), "Pod": (Container("", pod.requests, pod.limits),)}.get(
            one.kind, ()
        )
        for each in held:
            for what in _outside(each, one):
                whose = f"the container {each.name} of {{}}" if each.name else "{}"
                key = _key(pod, what) if each.name in ("", "main") else ""
                fix = f"change the limit range{f', or {key} to what it allows' if key else ''}"
                found.append(Refusal(f"the limit range {one.name} refuses {whose}: {what}", fix))
    for quota in quotas:
        if nameless := _nameless(pod, quota):
            fix = (
                "give the namespace a limit range with defaults (like the one in k8s/base/limits.yaml), "
                "or take that out of the quota"
            )
            found.append(Refusal(f"the quota {quota.name} refuses {{}}, since {nameless}", fix))
        for name, asked in usage(pod).items():
            if asked > quota.hard.get(name, asked):
                of = f"{name}: {bare(name, asked)} asked for, {bare(name, quota.hard[name])} in all"
                fix = f"raise the quota{f', or lower {_key(pod, name)}' if _key(pod, name) else ''}"
                found.append(Refusal(f"the quota {quota.name} never has room for {{}} ({of})", fix))
    return found


def usage(pod: Pod, count: int = 1) -> Amounts:
    """Returns what quotas count for so many of the pod, by the quotas' names for it."""
    found = {"pods": Decimal(count), "count/pods": Decimal(count)}
    for name, amount in pod.requests.items():
        if name != "pods":
            found[f"requests.{name}"] = amount * count
            if name in (*COMPUTE, "ephemeral-storage"):
                found[name] = amount * count
    return found | {f"limits.{name}": amount * count for name, amount in pod.limits.items()}


def _defaulted(container: Container, given: Range) -> Container:
    return replace(container, requests=given.requests | container.requests, limits=given.limits | container.limits)


def _outside(one: Container, held: Range) -> list[str]:
    """Returns what of a container or pod is outside of the range, in words."""
    found = []
    for name, least in held.min.items():
        for side, have in (("asks for", one.requests), ("is limited to", one.limits)):
            if (name in have or side == "asks for") and have.get(name, Decimal(0)) < least:
                found.append(
                    f"it {side} {shown(name, have.get(name, Decimal(0)))}, at least {shown(name, least)} must be"
                )
    for name, largest in held.max.items():
        if name not in one.limits:
            found.append(f"it names no limit of {name}, at most {shown(name, largest)} may be")
        elif max(one.limits[name], one.requests.get(name, Decimal(0))) > largest:
            found.append(f"its limit is {shown(name, one.limits[name])}, at most {shown(name, largest)} may be")
    for name, ratio in held.ratio.items():
        asked, limit = one.requests.get(name, Decimal(0)), one.limits.get(name, Decimal(0))
        if not asked or not limit or limit / asked > ratio:
            found.append(
                f"its limit of {name} may be {ratio:f} times its request, "
                f"which are {shown(name, limit)} and {shown(name, asked)}"
            )
    return found


def _nameless(pod: Pod, quota: Quota) -> str:
    """Returns which containers name nothing of what the quota counts, in words."""
    found = []
    for counted in quota.hard:
        side, _, name = counted.rpartition(".")
        if name in COMPUTE:
            without = [
                one.name
                for one in (*pod.containers, *pod.before)
                if name not in (one.limits if side == "limits" else one.requests)
            ]
            if without:
                found.append(f"{', '.join(without)} {'name' if len(without) > 1 else 'names'} no {counted}")
    return "; ".join(found)


def _counts(spec: Any) -> bool:
    """Tells whether the quota's scopes take in a step's pod.

    That has a deadline, asks for something, and has no priority class.
    """
    for scope in spec.scopes or []:
        if scope in ("BestEffort", "NotTerminating", "CrossNamespacePodAffinity", "PriorityClass"):
            return False
    for one in (spec.scope_selector.match_expressions if spec.scope_selector else None) or []:
        if one.scope_name == "PriorityClass":
            if one.operator in ("In", "Exists"):
                return False
        elif one.scope_name in ("BestEffort", "NotTerminating", "CrossNamespacePodAffinity"):
            return False
    return True


def bare(counted: str, amount: Decimal) -> str:
    """Returns the amount alone, for what a quota counts."""
    return shown(counted if "/" in counted else counted.rpartition(".")[2], amount).partition(" ")[0]


def _key(pod: Pod, text: str) -> str:
    """Returns the config key that the text is about, if any."""
    return next((key for name, key in pod.keys.items() if name in text), "")
