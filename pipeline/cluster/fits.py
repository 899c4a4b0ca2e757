"""Tells whether a cluster can hold a run's pods, before any of them is asked for: ever, and now."""

import itertools
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import TypeVar

from pipeline.cluster import argo, demand, versions
from pipeline.cluster.admission import Quota, Range, Refusal, admitted, bare, read_quotas, read_ranges, refusals, usage
from pipeline.cluster.amounts import lacking, listed, shown, total
from pipeline.cluster.demand import Document, Pod
from pipeline.cluster.findings import HealthError, NotCheckedError
from pipeline.cluster.kube import KFP_NAMESPACE, Kube, reach
from pipeline.cluster.nodes import Node, autoscaler, nearest, place, read_nodes
from pipeline.config import Config
from pipeline.policy import EXPERIMENT, POLICIES, SEARCH, WHERE_ASKED

T = TypeVar("T")
U = TypeVar("U")


@dataclass
class Findings:
    """Holds what was found of a run on a cluster."""

    never: dict[Refusal, list[str]] = field(default_factory=dict)
    """Refusals that never go away, with the steps that they are for."""
    waits: dict[str, list[str]] = field(default_factory=dict)
    """Reasons to wait, with {} where the steps' names go, and the steps."""
    notes: list[str] = field(default_factory=list)
    unknown: list[NotCheckedError] = field(default_factory=list)
    """Checks that could not be made."""

    def ask(self, question: Callable[[], T], otherwise: U) -> T | U:
        """Returns the answer; `otherwise`, with the reason kept, where there is none."""
        try:
            return question()
        except NotCheckedError as error:
            self.unknown.append(error)
            return otherwise


def check(cluster: Callable[[], Kube], namespace: str, config: Config, documents: list[Document]) -> str:
    """Returns what fits, in a line.

    Raises HealthError with all that never does, NotCheckedError where that cannot be known.
    """
    found = examine(cluster(), namespace or KFP_NAMESPACE, config, documents)
    if found.never:
        causes = [_of(one.text, steps) for one, steps in found.never.items()]
        raise HealthError("; ".join(causes), "; ".join(dict.fromkeys(one.fix for one in found.never)))
    return _possible(found)


def known(namespace: str, config: Config, compiled: Path) -> str:
    """Checks before a run is started, which goes on where it cannot be known: the line then says why.

    Raises HealthError where the run can never be held.
    """
    try:
        found = examine(reach(), namespace or KFP_NAMESPACE, config, versions.read(compiled))
        if found.never:
            one, steps = next(iter(found.never.items()))
            later = (
                ", or start it all the same with --no-fit-check where nodes are added for pods that wait"
                if one.nodes
                else ""
            )
            more = f" ({len(found.never) - 1} more: finest doctor)" if len(found.never) > 1 else ""
            raise HealthError(_of(one.text, steps), f"{one.fix}{later}{more}")
        return _possible(found)
    except NotCheckedError as unknown:
        return f"not checked: {unknown.why}"


def _possible(found: Findings) -> str:
    waits = [_of(text, steps) for text, steps in found.waits.items()]
    if found.unknown:
        why = "; ".join(dict.fromkeys(one.why for one in found.unknown))
        raise NotCheckedError("; ".join([why, *waits]), found.unknown[0].fix)
    return "; ".join([*(waits or ["every step fits"]), *found.notes])


def examine(kube: Kube, namespace: str, config: Config, documents: list[Document]) -> Findings:
    """Compares what a run's pods ask for with what the cluster has."""
    found = Findings()
    ranges: list[Range] = found.ask(lambda: read_ranges(kube, namespace), [])
    quotas: list[Quota] = found.ask(lambda: read_quotas(kube, namespace), [])
    placement = config.placement.model_dump()
    pods = [admitted(pod, ranges) for pod in demand.pods(documents, placement, argo.beside(kube))]
    for pod in pods:
        for one in refusals(pod, ranges, quotas):
            found.never.setdefault(one, []).append(pod.step)
    seen = found.ask(lambda: read_nodes(kube), None)
    if seen is not None:
        _ever(found, pods, seen[0], kube)
    possible = {
        pod.step: pod
        for pod in pods
        if not any(pod.step in steps for steps in (*found.never.values(), *found.waits.values()))
    }
    at_once = demand.moments(documents[0], config.perturb.groups)
    moments = [{step: count for step, count in one.items() if step in possible} for one in at_once]
    _now_by_quota(found, possible, moments, quotas)
    if seen is not None and seen[1]:
        found.notes.append(f"what is free now is not known: {seen[1]}")
    elif seen is not None:
        _now(found, possible, moments, seen[0])
    return found


def _of(text: str, steps: Iterable[str]) -> str:
    """Returns the text with the steps' names; what else is in braces there is someone's label."""
    return text.replace("{}", _named(steps))


def _named(steps: Iterable[str]) -> str:
    """Returns the steps, each once, in the order in which they run."""
    if set(POLICIES) - {*SEARCH, *EXPERIMENT, *WHERE_ASKED} <= set(steps):
        return "every step"
    order = list(POLICIES)
    plain = dict.fromkeys(re.sub(r"-[0-9]+$", "", step) for step in steps)
    return ", ".join(sorted(plain, key=lambda step: order.index(step) if step in order else -1))


def _ever(found: Findings, pods: Iterable[Pod], nodes: Sequence[Node], kube: Kube) -> None:
    """Refuses what no node can hold, whatever else runs; where nodes are added for it, it waits."""
    large = {pod.step: one for pod in pods if (one := _too_large(pod, nodes))}
    adds = found.ask(lambda: autoscaler(kube), "") if large else ""
    for step, one in large.items():
        if adds:
            found.waits.setdefault(
                f"{{}} would wait for a node that {adds} adds: {one.text.replace('{}', 'it')}", []
            ).append(step)
        else:
            found.never.setdefault(one, []).append(step)


def _too_large(pod: Pod, nodes: Sequence[Node]) -> Refusal | None:
    """Returns why no node can ever hold the pod."""
    if not nodes:
        return Refusal("the cluster has no node for {}", "add nodes", nodes=True)
    asked = {name: amount for name, amount in pod.requests.items() if amount > 0}
    missing = [name for name in asked if not any(node.allocatable.get(name, 0) > 0 for node in nodes)]
    if missing:
        fix = (
            "add nodes that have it, with their device plugin, or set placement.accelerator to what there is, "
            "'' for CPUs"
        )
        return Refusal(f"no node has {', '.join(missing)} for {{}}", fix, nodes=True)
    having = [node for node in nodes if all(node.allocatable.get(name, 0) > 0 for name in asked)]
    letting = [node for node in having if not node.refuses(pod)]
    if not letting:
        reasons = sorted({node.refuses(pod) for node in having})
        where = " and ".join(pod.where) or f"spec.tolerations and spec.nodeSelector of Argo's {argo.DEFAULTS}"
        text = f"no node lets {{}} in ({listed(asked)}): {'; '.join(reasons)}"
        return Refusal(text, f"set {where} to what the nodes have", nodes=True)
    largest = {node.name: node.largest for node in letting}
    if all(lacking(asked, have) for have in largest.values()):
        name = nearest(asked, largest)
        short = lacking(asked, largest[name])
        has = ", ".join(
            shown(one, largest[name].get(one, Decimal(0))) for one in asked if one != "pods" or one in short
        )
        beside = " beside what DaemonSets take" if next(node.always for node in letting if node.name == name) else ""
        lower = " and ".join(pod.keys[one] for one in short if one in pod.keys)
        fix = f"{f'lower {lower}, or ' if lower else ''}add larger nodes"
        return Refusal(f"no node holds {{}} ({listed(asked)}): the largest, {name}, has {has}{beside}", fix, nodes=True)
    return None


def _now(found: Findings, pods: Mapping[str, Pod], moments: Iterable[Mapping[str, int]], nodes: Sequence[Node]) -> None:
    """Notes what finds no room among what runs now."""
    for moment in moments:
        placed = place(moment, pods, nodes)
        for step, count in moment.items():
            if placed[step] < count:
                several = f" ({count} at once, room for {placed[step]} now)" if count > 1 else ""
                found.waits.setdefault(f"{{}}{several} would wait for {_wanted(pods[step], nodes)}", []).append(step)
    accelerated = {name: pod for pod in pods.values() for name in pod.requests if "/" in name}
    for name, pod in accelerated.items():
        free = total(node.free for node in nodes if not node.closed(pod))
        found.notes.append(f"{shown(name, free.get(name, Decimal(0)))} free now")
    if not accelerated:
        found.notes.append("trainings run on CPUs")


def _wanted(pod: Pod, nodes: Sequence[Node]) -> str:
    """Returns what the pod waits for."""
    free = {node.name: node.free for node in nodes if not node.closed(pod)}
    if not free:
        away = Counter(node.away or "tainted for now" for node in nodes if not node.refuses(pod))
        return f"a node ({', '.join(f'{count} {reason}' for reason, count in away.items())})"
    name = nearest(pod.requests, free)
    left = ", ".join(shown(one, free[name].get(one, Decimal(0))) for one in lacking(pod.requests, free[name]))
    return f"{listed(pod.requests)}" + (f" (most room is on {name}: {left} free)" if left else "")


def _now_by_quota(
    found: Findings, pods: Mapping[str, Pod], moments: Iterable[Mapping[str, int]], quotas: Iterable[Quota]
) -> None:
    """Notes what a quota has no room for beside what is there now."""
    for moment, quota in itertools.product(moments, quotas):
        asked = total(usage(pods[step], count) for step, count in moment.items())
        for name, amount in asked.items():
            if amount > (left := quota.free.get(name, amount)):
                of = f"{bare(name, left)} of {bare(name, quota.hard[name])} left"
                text = f"{{}} would wait for the quota {quota.name} ({name}: {bare(name, amount)} asked for, {of})"
                found.waits.setdefault(text, []).extend(moment)
