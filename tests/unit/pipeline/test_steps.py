import random
import re
from collections.abc import Mapping
from copy import copy
from datetime import UTC, datetime, timedelta
from functools import cache

import kfp_server_api as kfp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.cluster import argo_nodes as nodes
from pipeline.cluster.steps import State, Step, steps
from tests.services import fake_kfp, recorded

RUNS = ["cached", "killed", "lost-pod", "out-of-memory", "pending", "terminated", "two-groups"]
START = datetime(2026, 11, 26, 16, tzinfo=UTC)
LOOP = "root(0).exit-handler-1(0).for-loop-1(0).iteration-iterations"

Facts = tuple[str, int, int | None]
"""State, first and last second."""


def workflow(pods: Mapping[str, Facts]) -> kfp.V2beta1Run:
    """A run as KFP gives it, with the nodes of these pods and those that they lie in.

    Pods are named by what their nodes' names have after the workflow's.
    """
    full: dict[str, Facts] = {f"finest-abc12(0).{pod}": facts for pod, facts in pods.items()}
    ways = {way[-1]: way for pod in full for way in all_ways(pod)}
    tasks = []
    for name, way in ways.items():
        below = [facts for pod, facts in full.items() if pod == name or pod.startswith((f"{name}.", f"{name}("))]
        state, began, ended = below[0] if name in full else around(below)
        children = [inner for inner, other in ways.items() if other[:-1] == way]
        tasks.append(task(name, state, began, ended, children))
    return kfp.V2beta1Run(run_id="run", state="RUNNING", run_details=kfp.V2beta1RunDetails(task_details=tasks))


def all_ways(pod: str) -> list[list[str]]:
    """Of the node and of every node that it lies in: the nodes from the root to it."""
    way = [pod[: at.start()] for at in re.finditer(r"\(\d+\)(?=\.|$)|\.", pod)] + [pod]
    return [way[: number + 1] for number in range(len(way))]


def around(below: list[Facts]) -> Facts:
    """What the last of its pods makes of a node."""
    began = min(began for _, began, _ in below)
    state, _, ended = below[-1]
    if ended is None:
        return "RUNNING", began, None
    return "FAILED" if state == "FAILED" else "SUCCEEDED", began, ended


def task(name: str, state: str, began: int, ended: int | None, children: list[str]) -> kfp.V2beta1PipelineTaskDetail:
    moment = START + timedelta(seconds=began)
    return kfp.V2beta1PipelineTaskDetail(
        task_id=name,
        display_name=name.rpartition(".")[2],
        state=state,
        start_time=moment,
        end_time=datetime(1970, 1, 1, tzinfo=UTC) if ended is None else START + timedelta(seconds=ended),
        child_tasks=[
            kfp.PipelineTaskDetailChildTask(pod_name=f"finest-abc12-{nodes.fnv1a(child)}") for child in children
        ],
        state_history=[kfp.V2beta1RuntimeStatus(update_time=moment, state=state)],
    )


def said(found: list[Step]) -> list[tuple[str, list[State]]]:
    """Titles and what became of the attempts, drivers left out."""
    return [
        (step.title, [attempt.state for attempt in step.attempts])
        for step in found
        if not step.driver and step.attempts
    ]


@cache
def recorded_run(name: str) -> kfp.V2beta1Run:
    """Reads a run once for all tests, which change copies (`with_tasks`) of it."""
    return fake_kfp.model(recorded.answer(name), kfp.V2beta1Run)


def with_tasks(run: kfp.V2beta1Run, tasks: list[kfp.V2beta1PipelineTaskDetail]) -> kfp.V2beta1Run:
    """Returns the run with those nodes in place of its own."""
    changed, changed.run_details = copy(run), copy(run.run_details)
    changed.run_details.task_details = tasks
    return changed


@cache
def recorded_steps(name: str) -> list[Step]:
    return steps(recorded_run(name))


@pytest.mark.parametrize("name", RUNS)
def test_every_node_of_a_recorded_run_has_its_full_name(name: str) -> None:
    run = recorded_run(name)
    tasks = run.run_details.task_details
    found = nodes.names(tasks)
    assert found == recorded.names(recorded.answer(name))
    assert {id for one in tasks for id in nodes.children(one)} < set(found)


def test_a_recorded_pod_is_of_the_node_that_its_id_and_its_name_say() -> None:
    about = recorded.answer("pod-out-of-memory")["metadata"]["annotations"]
    id, name = about["workflows.argoproj.io/node-id"], about["workflows.argoproj.io/node-name"]
    assert nodes.names(recorded_run("out-of-memory").run_details.task_details)[id] == name
    [training] = [step for step in steps(recorded_run("out-of-memory")) if step.title == "Train" and not step.driver]
    assert training.attempts[2].node == name
    assert f"{training.attempts[2].created:%H:%M:%S} {training.attempts[2].ended:%H:%M:%S}" == "17:11:45 17:12:06"


@pytest.mark.parametrize("name", RUNS)
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_steps_are_the_same_in_any_order_of_nodes_and_with_nodes_twice(name: str, seed: int) -> None:
    run = recorded_run(name)
    mixed = [*run.run_details.task_details, *random.Random(seed).sample(run.run_details.task_details, 10)]
    random.Random(seed).shuffle(mixed)
    assert steps(with_tasks(run, mixed)) == recorded_steps(name)


@pytest.mark.parametrize("name", RUNS)
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32), nameless=st.floats(0, 1), missing=st.floats(0, 1))
def test_whatever_is_missing_nothing_is_said_twice(name: str, seed: int, nameless: float, missing: float) -> None:
    run, chance = recorded_run(name), random.Random(seed)
    left = [copy(task) for task in run.run_details.task_details if chance.random() >= missing]
    for one in left:
        one.display_name = None if chance.random() < nameless else one.display_name
        one.state = one.state if chance.random() < 0.9 else None
    found = steps(with_tasks(run, left))
    assert len({step.key for step in found}) == len(found)
    own = [(step.title, number) for step in found if not step.driver for number in range(len(step.attempts))]
    assert len(set(own)) == len(own)


@pytest.mark.parametrize("details", [None, kfp.V2beta1RunDetails(), kfp.V2beta1RunDetails(task_details=[])])
def test_a_run_that_has_just_been_made_has_no_steps(details: kfp.V2beta1RunDetails | None) -> None:
    assert steps(kfp.V2beta1Run(run_id="run", state="PENDING", run_details=details)) == []


def test_a_flat_pipeline_without_loop_or_branches_is_told_by_its_steps() -> None:
    run = workflow(
        {
            "root(0).preflight(0).executor(0)": ("SUCCEEDED", 0, 9),
            "root(0).pretrain(0).executor(0)": ("RUNNING", 20, None),
        }
    )
    assert said(steps(run)) == [("Check before spending", ["done"]), ("Train", ["running"])]


def test_a_step_that_this_version_does_not_know_goes_by_its_own_name() -> None:
    run = workflow(
        {"root(0).audit(0).executor(0)": ("SUCCEEDED", 0, 9), "root(0).gate(0).executor(0)": ("PENDING", 20, None)}
    )
    assert said(steps(run)) == [("audit", ["done"]), ("Judge stability", ["pending"])]


def test_a_step_that_may_not_be_retried_has_one_attempt() -> None:
    run = workflow({"root.preflight.executor": ("SUCCEEDED", 0, 9), "root.ingest.executor": ("RUNNING", 10, None)})
    assert said(steps(run)) == [("Check before spending", ["done"]), ("Read, clean, split", ["running"])]


def test_a_loop_of_one_round_is_no_group_and_of_several_each_is_one() -> None:
    one = {f"{LOOP}(0:0)(0).iteration-item(0).pretrain(0).executor(0)": ("RUNNING", 0, None)}
    assert said(steps(workflow(one))) == [("Train", ["running"])]
    two = one | {f"{LOOP}(11:11)(0).iteration-item(0).pretrain(0).executor(0)": ("SUCCEEDED", 0, 5)}
    assert said(steps(workflow(two))) == [("Train, group 0", ["running"]), ("Train, group 11", ["done"])]


def test_a_branch_that_was_attempted_anew_counts_its_steps_attempts_on() -> None:
    run = workflow(
        {
            "root(0).condition-2(0).perturb(0).executor(0)": ("SUCCEEDED", 0, 5),
            "root(0).condition-2(0).pretrain(0).executor(0)": ("FAILED", 10, 20),
            "root(0).condition-2(0).pretrain(0).executor(1)": ("FAILED", 80, 90),
            "root(0).condition-2(1).perturb(0).executor(0)": ("SUCCEEDED", 100, 105),
            "root(0).condition-2(1).pretrain(0).executor(0)": ("RUNNING", 110, None),
        }
    )
    found = steps(run)
    assert said(found) == [("Plan perturbations", ["done", "done"]), ("Train", ["failed", "failed", "running"])]
    assert [attempt.number for attempt in found[1].attempts] == [0, 1, 0]


def test_groups_that_fare_differently_at_the_same_time_are_not_mixed_up() -> None:
    run = workflow(
        {
            f"{LOOP}(0:0)(0).iteration-item(0).pretrain(0).executor(0)": ("FAILED", 0, 30),
            f"{LOOP}(0:0)(0).iteration-item(0).pretrain(0).executor(1)": ("RUNNING", 90, None),
            f"{LOOP}(1:1)(0).iteration-item(0).pretrain(0).executor(0)": ("SUCCEEDED", 0, 30),
            f"{LOOP}(2:2)(0).iteration-item(0).pretrain(0).executor(0)": ("FAILED", 0, 31),
            f"{LOOP}(2:2)(0).iteration-item(0).pretrain(0).executor(1)": ("FAILED", 91, 99),
        }
    )
    assert said(steps(run)) == [
        ("Train, group 0", ["failed", "running"]),
        ("Train, group 1", ["done"]),
        ("Train, group 2", ["failed", "failed"]),
    ]


@pytest.mark.parametrize("failed", [0, 1])
def test_what_kfp_leaves_open_between_groups_pods_decide(failed: int) -> None:
    pods = {f"{LOOP}({group}:{group})(0).iteration-item(0).pretrain(0).executor(0)": group for group in (0, 1)}
    run = workflow({pod: ("FAILED", 0, 30) if group == failed else ("RUNNING", 0, None) for pod, group in pods.items()})
    for (
        one
    ) in run.run_details.task_details:  # the node around a pod that has failed goes on: it waits for another attempt
        if not one.display_name.startswith("executor("):
            one.state, one.end_time = "RUNNING", None
    seen: dict[str, State] = {
        f"finest-abc12(0).{pod}": "failed" if group == failed else "running" for pod, group in pods.items()
    }
    expected: list[State] = ["running", "running"]
    expected[failed] = "failed"
    assert [step.attempts[0].state for step in steps(run, seen) if not step.driver] == expected


def test_a_driver_is_told_apart_from_the_step_that_it_prepares() -> None:
    run = workflow({"root(0).gate-driver(0)": ("FAILED", 0, 3), "root(0).condition-2-driver(0)": ("PENDING", 4, None)})
    found = steps(run)
    assert [(step.title, step.driver, step.attempts[0].state) for step in found] == [
        ("Judge stability", True, "failed"),
        ("condition-2", True, "pending"),
    ]
