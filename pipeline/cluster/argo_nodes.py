"""Finds the full names of an Argo workflow's nodes from their ids: KFP's answers have display names and children's ids.

A full name is the way to the node from the root, like
`finest-g9x82(0).root(0).exit-handler-1(0).preflight(0).executor(2)`. A template that may be retried is a node with a
node for every attempt, `X` with `X(0)`, `X(1)`; a round of a loop is `X(0:0)`, `X(1:1)`. A node's id is the workflow's
name with a hash of the full name. So what is found is what hashes to an id that was given, from the root down.
"""

import re
from collections.abc import Collection, Iterable
from itertools import count, takewhile
from typing import Any

OFFSET, PRIME = 0x811C9DC5, 0x01000193
ATTEMPT = re.compile(r"\(\d+\)$")
ROUND = re.compile(r"\((\d+):[^)]*\)")


def fnv1a(text: str, start: int = OFFSET) -> int:
    """Hashes a text by FNV-1a in 32 bits; `start` is the hash of what stands before the text.

    >>> fnv1a("a"), fnv1a("finest(0)") == fnv1a("(0)", fnv1a("finest"))
    (3826002220, True)
    """
    for byte in text.encode():
        start = (start ^ byte) * PRIME & 0xFFFFFFFF
    return start


def names(tasks: Iterable[Any]) -> dict[str, str]:
    """Returns full names by id, of the workflow and all nodes below it whose ids any task gives as a child's."""
    tasks = list(tasks)
    ids = {id for task in tasks for id in children(task)}
    workflow = min(ids, default="").rpartition("-")[0]
    displayed = {task.display_name for task in tasks if task.display_name}
    ends = [*{of[0] for name in displayed if (of := ATTEMPT.search(name))}, *{f".{whole(name)}" for name in displayed}]
    found, todo = {workflow: workflow}, [workflow]
    for name in todo:  # which grows
        before = fnv1a(name)
        for end in ends:
            id = f"{workflow}-{fnv1a(end, before)}"
            if id in ids and id not in found:
                found[id] = name + end
                todo.append(name + end)
    return found


def children(task: Any) -> list[str]:
    """Returns the ids of the nodes that come after or lie in the task's node."""
    return [str(child.pod_name) for child in task.child_tasks or [] if child.pod_name]


def places(tasks: Iterable[Any], found: dict[str, str]) -> dict[str, Any]:
    """Returns the tasks, by full name, of the nodes that have another one in them; `found` is the answer of `names`."""
    placed = {}
    for task in tasks:
        for id in children(task):
            inner = found.get(id, "")
            name = whole(inner) if whole(inner) != inner else inner.rpartition(".")[0]
            if name == task.display_name or name.endswith(f".{task.display_name}"):
                placed[name] = task
                break
    return placed


def attempts(name: str, found: Collection[str]) -> list[str]:
    """Returns the full names of the node's attempts, in order."""
    return list(takewhile(lambda attempt: attempt in found, (f"{name}({number})" for number in count())))


def order(name: str) -> list[int]:
    """Returns a key that sorts attempts of one step by their begin.

    It does so too where the nodes around them were attempted several times.
    """
    return [int(number) for number in re.findall(r"\((\d+)\)", name)]


def whole(name: str) -> str:
    """Returns the node that the node is an attempt of; itself where it is none."""
    return ATTEMPT.sub("", name)


def around(name: str) -> str:
    """Returns the node that the node lies in, whichever attempt of that it is."""
    return whole(name.rpartition(".")[0])


def display(name: str) -> str:
    """Returns the display name of the node."""
    return name.rpartition(".")[2]


def rounds(name: str) -> tuple[int, ...]:
    """Returns which round of the loops around it the node is in; empty outside of loops."""
    return tuple(int(index) for index in ROUND.findall(name))
