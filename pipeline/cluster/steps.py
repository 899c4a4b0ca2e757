"""Finds what has become of each step of a run, attempt by attempt, from what KFP says of the workflow's nodes."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from math import inf
from typing import Any, Literal, NamedTuple

from pipeline.cluster import argo_nodes as nodes
from pipeline.policy import POLICIES

State = Literal["pending", "running", "done", "cached", "failed"]
STATES: dict[str, State] = {
    "PENDING": "pending",
    "PAUSED": "pending",
    "RUNNING": "running",
    "CANCELING": "running",
    "SUCCEEDED": "done",
    "SKIPPED": "cached",
    "FAILED": "failed",
    "CANCELED": "failed",
}
"""States by KFP's word for a pod's node. A step's pod is skipped only where its outputs are cached: what is left out
has no node for one."""
GOING_ON = ("PENDING", "RUNNING", "CANCELING", "PAUSED")
EXECUTOR, DRIVER = "executor", "-driver"
"""Name of the node of a step's own pod, and what KFP adds to the name of what a driver's pod prepares."""
ROUNDED = 1.0
"""Seconds that KFP's times may be off: they are whole seconds."""


@dataclass(frozen=True)
class Attempt:
    """Holds one pod of a step."""

    node: str
    """Full name of its node in the workflow; empty where it is not known."""
    state: State
    created: datetime | None
    running: datetime | None
    """When KFP first saw it run: some seconds late, and never for one that is quicker than KFP looks."""
    ended: datetime | None
    number: int
    """Number of the attempt, from 0 under the node that it is one of; the wait for the next one grows with it."""


@dataclass(frozen=True)
class Step:
    """Holds a step as it is now."""

    component: str
    title: str
    driver: bool
    """Whether this is not the step's own pod, but the one that KFP prepares it, or a branch or a loop, with."""
    open: bool
    """Whether it goes on: another attempt may follow one that has failed."""
    attempts: tuple[Attempt, ...]
    key: str
    """Returns what tells it apart from all others of the run, for as long as the run goes on."""


class Tree(NamedTuple):
    """Holds the workflow's nodes by full name, and the task of each that has one."""

    names: set[str]
    tasks: dict[str, Any]


class Pod(NamedTuple):
    """Holds the node of a pod."""

    node: str
    number: int
    around: Any
    """The task of the node that it is an attempt of, or of the step where it is none; None where that is missing."""
    state: State | None
    """State that follows for it from what is around it."""


def steps(run: Any, seen: Mapping[str, State] | None = None) -> list[Step]:
    """Returns the run's steps in the order in which they began, then drivers.

    What has not begun and what is left out is not among them.

    Args:
        run: The run as KFP gives it.
        seen: The state of pods by their node's full name, where the cluster tells it.
    """
    given = (run.run_details.task_details if run.run_details else None) or []
    tasks = sorted(
        {task.task_id: task for task in given}.values(),
        key=lambda task: (_seconds(task.start_time, inf), str(task.task_id)),
    )
    found = nodes.names(tasks)
    tree = Tree(set(found.values()), nodes.places(tasks, found))
    _match(tree, tasks, seen or {})
    rows = {component: row for row, component in enumerate(POLICIES)}
    found_steps = [*_own(tree), *_unplaced(tree, tasks), *_drivers(tree)]
    return sorted(
        found_steps, key=lambda step: (step.driver, _began(step), rows.get(step.component, len(rows)), step.key)
    )


def _own(tree: Tree) -> Iterator[Step]:
    """Yields the steps: what has the node of a pod in it.

    One in a branch or loop that was attempted anew is there for each of those attempts.
    """
    executors: dict[str, list[str]] = defaultdict(list)
    for name in sorted(tree.names, key=nodes.order):
        if nodes.display(name) == EXECUTOR:
            step = nodes.around(name)
            executors[f"{nodes.display(step)} {nodes.rounds(step)}"].append(name)
    for key, names in executors.items():
        step = nodes.around(names[-1])
        component = nodes.display(step)
        attempts = tuple(attempt for name in names for attempt in _attempts(tree, name))
        yield Step(component, _title(tree, component, step), False, _open(tree, step), attempts, key)


def _drivers(tree: Tree) -> Iterator[Step]:
    for name in tree.names:
        if nodes.display(name).endswith(DRIVER):
            component = nodes.display(name).removesuffix(DRIVER)
            yield Step(
                component, _title(tree, component, name), True, _open(tree, name), tuple(_attempts(tree, name)), name
            )


def _unplaced(tree: Tree, tasks: list[Any]) -> Iterator[Step]:
    """Yields the steps of an answer that does not lead to their nodes: as a whole, without their attempts."""
    placed = {nodes.display(name) for name in tree.names}
    count: dict[str, int] = defaultdict(int)
    for task in tasks:
        name = task.display_name
        if name in POLICIES and name not in placed and STATES.get(str(task.state), "cached") != "cached":
            count[name] += 1
            title = POLICIES[name].title + (f" #{count[name]}" if count[name] > 1 else "")
            yield Step(name, title, False, str(task.state) in GOING_ON, (_attempt(task, "", 0),), str(task.task_id))


def _match(tree: Tree, tasks: list[Any], seen: Mapping[str, State]) -> None:
    """Gives the nodes of pods their tasks.

    Nothing leads from such a task to its node but its display name, its state and its times.
    """
    placed = {id(task) for task in tree.tasks.values()}
    free = defaultdict(list)
    for task in tasks:
        if id(task) not in placed:
            free[task.display_name].append(task)
    retried = [name for name in tree.names if nodes.display(name).endswith((EXECUTOR, DRIVER))]
    pods = [(pod, _seconds(pod.around and pod.around.end_time, inf)) for name in retried for pod in _pods(tree, name)]
    for pod, _ in sorted(pods, key=lambda one: (one[0].number, one[0].node not in seen, one[1], one[0].node)):
        before = tree.tasks.get(f"{nodes.whole(pod.node)}({pod.number - 1})")
        same = free[nodes.display(pod.node)]
        fitting = [task for task in same if _fits(task, pod, before)]
        if fitting:
            tree.tasks[pod.node] = min(fitting, key=lambda task: STATES.get(str(task.state)) != seen.get(pod.node))
            same.remove(tree.tasks[pod.node])


def _fits(task: Any, pod: Pod, before: Any) -> bool:
    """Tells whether the task may be the pod's; `before` is that of the attempt before it."""
    since = _seconds((before and before.end_time) or (pod.around and pod.around.start_time), -inf)
    until = _seconds(pod.around and pod.around.end_time, inf)
    began = _seconds(task.start_time, since)
    in_time = since - ROUNDED <= began <= until and _seconds(task.end_time, inf) <= until + ROUNDED
    late = pod.number == 0 and pod.around is not None and began > since + ROUNDED
    return in_time and not late and pod.state in (None, STATES.get(str(task.state)))


def _pods(tree: Tree, name: str) -> Iterator[Pod]:
    """Returns the node's attempts, or the node itself where it has none: it was skipped, or is not to be retried."""
    attempts, around = nodes.attempts(name, tree.names), tree.tasks.get(name)
    ending = STATES.get(str(around.state)) if around is not None and str(around.state) not in GOING_ON else None
    for number, attempt in enumerate(attempts):
        yield Pod(attempt, number, around, ending if attempt == attempts[-1] else "failed")
    if not attempts:
        yield Pod(name, 0, tree.tasks.get(name.rpartition(".")[0]), None)


def _attempts(tree: Tree, name: str) -> Iterator[Attempt]:
    """Returns what has become of the node's pods, also where a pod's task is missing but what is around it says it."""
    for pod in _pods(tree, name):
        if (task := tree.tasks.get(pod.node)) is not None and str(task.state) in STATES:
            yield _attempt(task, pod.node, pod.number)
        elif pod.state is not None:
            yield Attempt(pod.node, pod.state, None, None, None, pod.number)


def _attempt(task: Any, node: str, number: int) -> Attempt:
    running = (one.update_time for one in task.state_history or [] if str(one.state) == "RUNNING")
    return Attempt(
        node, STATES[str(task.state)], moment(task.start_time), next(running, None), moment(task.end_time), number
    )


def _title(tree: Tree, component: str, name: str) -> str:
    """Returns the step's name for people, with its group where there are several."""
    title = POLICIES[component].title if component in POLICIES else component
    several = len({rounds for other in tree.names if (rounds := nodes.rounds(other))}) > 1
    return f"{title}, group {'.'.join(map(str, nodes.rounds(name)))}" if several and nodes.rounds(name) else title


def _open(tree: Tree, name: str) -> bool:
    return name in tree.tasks and str(tree.tasks[name].state) in GOING_ON


def _began(step: Step) -> float:
    return min((_seconds(attempt.created, inf) for attempt in step.attempts), default=inf)


def moment(time: datetime | None) -> datetime | None:
    """Returns a time as KFP gives it, which writes 1970 for what has not come yet."""
    return time if time is not None and time > datetime(1970, 1, 2, tzinfo=UTC) else None


def _seconds(time: datetime | None, default: float) -> float:
    known = moment(time)
    return default if known is None else known.timestamp()
