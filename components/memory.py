"""Reads how much memory this container, or this machine, has, and whether the kernel has killed for want of it."""

import logging
from pathlib import Path
from typing import NamedTuple

import psutil

ROOT = Path("/sys/fs/cgroup")
"""Folder of all groups of processes (cgroups)."""
OWN = Path("/proc/self/cgroup")
"""File that names this process's group."""
UNLIMITED = 2**60
"""Least limit, in bytes, that the first version of cgroups gives for a group without a limit."""
COUNTS = Path("/proc/vmstat")
"""File with what the kernel counts for all of this machine, whatever group and container it is in."""
SCORE = Path("/proc/self/oom_score_adj")
"""File that says how soon the kernel ends this process where memory is short."""

logger = logging.getLogger(__name__)


class Memory(NamedTuple):
    """Holds what the kernel counts for the group of processes that this one is in."""

    limit: int
    """Bytes that there are: the container's limit, or all of the machine's."""
    limited: bool
    """Whether that is a limit of the container."""
    peak: int
    """Most bytes that were in use at once; 0 where the kernel does not say."""
    killed: int
    """Number of processes that the kernel has killed for want of memory."""


def look(root: Path = ROOT, own: Path = OWN) -> Memory:
    """Reads the memory of this process's group as it is now.

    Args:
        root: Folder of all groups.
        own: File that names this process's group.
    """
    # The name "" is that of the second version of cgroups, which has all controllers in one place.
    by_controller = dict(line.split(":", 2)[1:] for line in _text(own).splitlines())
    path = next((path for names, path in by_controller.items() if "memory" in names.split(",")), None)
    if path is not None:
        folders = _folders(root / "memory", path)
        names = "memory.limit_in_bytes", "memory.max_usage_in_bytes", "memory.oom_control"
    else:
        folders = _folders(root, by_controller.get("", "/"))
        names = "memory.max", "memory.peak", "memory.events"
    limits = [limit for folder in folders if 0 < (limit := _number(folder / names[0])) < UNLIMITED]
    limit = min(limits, default=0)
    killed = dict(line.split() for line in _text(folders[0] / names[2]).splitlines()).get("oom_kill", "0")
    return Memory(limit or psutil.virtual_memory().total, bool(limit), _number(folders[0] / names[1]), int(killed))


def killed_here(counts: Path = COUNTS) -> int | None:
    """Returns how many processes of this machine the kernel has killed for want of memory; None where it does not say.

    Args:
        counts: File with the kernel's counts.
    """
    found = dict(line.split() for line in _text(counts).splitlines()).get("oom_kill")
    return None if found is None else int(found)


def go_first(score: Path = SCORE) -> None:
    """Asks the kernel to end this process, and those that it starts, before any other where memory is short.

    The step, which goes on, can then tell of it. A cluster's node may still end the container as a whole (its kubelet's
    `singleProcessOOMKill`).
    """
    try:
        score.write_text("1000")
    except OSError as error:  # not Linux, or a sandbox
        logger.info("which process ends first where memory is short is the kernel's choice: %s", error)


def _folders(root: Path, path: str) -> list[Path]:
    """Returns the group's folder and those that it is in.

    A container's own stands at the root, whatever the path says.
    """
    own = root / path.strip("/")
    return [own, *(parent for parent in own.parents if parent.is_relative_to(root))] if own.exists() else [root]


def _number(file: Path) -> int:
    text = _text(file).strip()
    return int(text) if text.isdecimal() else 0


def _text(file: Path) -> str:
    try:
        return file.read_text()
    except OSError:  # a kernel that does not count this
        return ""


def mebibytes(count: int) -> str:
    """Returns bytes as Kubernetes writes them.

    >>> mebibytes(629145600), mebibytes(17179869184)
    ('600Mi', '16Gi')
    """
    whole = round(count / 2**20)
    return f"{whole // 1024}Gi" if whole >= 1024 and whole % 1024 == 0 else f"{whole}Mi"
