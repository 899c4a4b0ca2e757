"""A row of the benchmarks' table, and how its seconds and bytes are measured."""

import json
import operator
import os
import re
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic import Field

from finest.errors import FinestError
from finest.peak import GIB
from finest.section import Section

Quantity = Literal["cpu_s", "wall_s", "peak_gib"]


class Spent(NamedTuple):
    """Time and memory that one repeat took."""

    cpu_s: float
    """CPU seconds of all threads and finished children."""
    wall_s: float
    peak_gib: float = 0.0
    """Resident memory of the largest process; 0 where it is not measured."""


class Row(Section):
    """A ratio against a named peer.

    If more is better the ratio says how many times better ours is, otherwise it is ours over the peer's.
    """

    row: str
    ours: float
    peer: float
    ratio: float
    target: str
    """A bound of `ratio`, like `>= 50`; what stands behind a comma is said in words and is part of `met`."""
    met: bool
    detail: dict[str, Any] = Field(default_factory=dict)
    """Minimum, median and maximum over repeats, and what must be known to read the row."""


def row(
    name: str,
    ours: Sequence[Spent],
    peer: Sequence[Spent],
    target: str,
    by: Quantity = "cpu_s",
    met: bool = True,
    **detail: Any,
) -> Row:
    """Makes a row of the medians over repeats.

    Args:
        name: What the row compares, like `rbo at depth 100 : `rbo` package`.
        ours: Our repeats.
        peer: The peer's repeats.
        target: A bound of the ratio, like `>= 50`, and further conditions in words behind a comma.
        by: The quantity that is compared.
        met: Whether the conditions in words hold.
        **detail: What must be known to read the row.
    """
    ours_median, peer_median = (statistics.median(getattr(spent, by) for spent in side) for side in (ours, peer))
    ratio = peer_median / ours_median if target.startswith(">=") else ours_median / peer_median
    return Row(
        row=name,
        ours=ours_median,
        peer=peer_median,
        ratio=ratio,
        target=target,
        met=met and holds(ratio, target),
        detail={"by": by, "ours": spread(ours), "peer": spread(peer), **detail},
    )


def bound(target: str) -> tuple[Callable[[float, float], bool], float]:
    """Returns the comparison and the number at a target's start.

    >>> compare, number = bound(">= 50, < 1 GB")
    >>> compare(51.0, number), compare(49.0, number)
    (True, False)
    """
    found = re.match(r"(<=|>=) ([\d.]+)", target)
    if not found:
        raise ValueError(f"target {target!r} does not begin with a bound like '>= 50'")
    return (operator.ge if found[1] == ">=" else operator.le), float(found[2])


def holds(ratio: float, target: str) -> bool:
    """Tells whether the ratio keeps the bound at the target's start."""
    compare, number = bound(target)
    return compare(ratio, number)


def spread(repeats: Sequence[Spent]) -> dict[str, list[float]]:
    """Returns minimum, median and maximum over repeats of each quantity that was measured."""
    values = {name: [getattr(spent, name) for spent in repeats] for name in Spent._fields}
    return {name: [min(those), statistics.median(those), max(those)] for name, those in values.items() if any(those)}


def measured(call: Callable[[], Any]) -> Spent:
    """Measures what a call takes in this process and in children that it waits for."""
    wall, cpu = time.perf_counter(), _cpu()
    call()
    return Spent(_cpu() - cpu, time.perf_counter() - wall)


def _cpu() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def alternating(ours: Callable[[], Any], peer: Callable[[], Any], repeats: int) -> tuple[list[Spent], list[Spent]]:
    """Measures both sides in turn, so that a busy machine is busy for both."""
    pairs = [(measured(ours), measured(peer)) for _ in range(repeats)]
    return [first for first, _ in pairs], [second for _, second in pairs]


def in_process(command: Sequence[str], codes: tuple[int, ...] = (0,), **environment: str) -> tuple[Spent, str]:
    """Runs a command; returns what it took, its finished children included, and what it printed.

    Args:
        command: The program and its arguments.
        codes: The exit codes that are no failure.
        **environment: Variables beside this process's.

    Raises:
        FinestError: The command ended with another exit code.
    """
    wall = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, **environment}) as process:
        assert process.stdout is not None
        printed = process.stdout.read().decode()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in codes:
        raise FinestError(f"{' '.join(command)}: exit code {process.returncode}")
    return Spent(usage.ru_utime + usage.ru_stime, time.perf_counter() - wall), printed


def in_python(module: str, *arguments: str) -> dict[str, Any]:
    """Runs a module of this repository in a process of its own; returns the JSON of its last printed line."""
    _, printed = in_process([sys.executable, "-m", module, *arguments])
    found: dict[str, Any] = json.loads(printed.splitlines()[-1])
    return found


def peak_gib() -> float:
    """Returns the most resident memory of this process so far, in GiB.

    Not by getrusage: a child starts there from what its parent had.
    """
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 / GIB for line in lines if line.startswith("VmHWM"))
