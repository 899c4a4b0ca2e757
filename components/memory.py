"""What this container, or this machine, has of memory, and whether the kernel has killed for want of it."""

import logging
from pathlib import Path
from typing import NamedTuple

import psutil

ROOT = Path("/sys/fs/cgroup")
OWN = Path("/proc/self/cgroup")
UNLIMITED = 2**60
"""What the first version of cgroups says of a group without a limit, or more."""
SCORE = Path("/proc/self/oom_score_adj")

logger = logging.getLogger(__name__)


class Memory(NamedTuple):
    """As the kernel counts it for the group of processes that this one is in."""

    limit: int
    """Bytes that there are: the container's limit, or all of the machine's."""
    limited: bool
    """Whether that is a limit of the container."""
    peak: int
    """Most bytes that were in use at once, 0 where the kernel does not say."""
    killed: int
    """Processes that it has killed because there were no more."""


def look(root: Path = ROOT, own: Path = OWN) -> Memory:
    """As it is now."""
    by_controller = dict(
        line.split(":", 2)[1:] for line in _text(own).splitlines()
    )  # "" is the second version's, of all controllers
    if (
        path := next((path for names, path in by_controller.items() if "memory" in names.split(",")), None)
    ) is not None:
        folders, names = (
            _folders(root / "memory", path),
            ("memory.limit_in_bytes", "memory.max_usage_in_bytes", "memory.oom_control"),
        )
    else:
        folders, names = _folders(root, by_controller.get("", "/")), ("memory.max", "memory.peak", "memory.events")
    limits = [limit for folder in folders if 0 < (limit := _number(folder / names[0])) < UNLIMITED]
    limit = min(limits, default=0)
    killed = dict(line.split() for line in _text(folders[0] / names[2]).splitlines()).get("oom_kill", "0")
    return Memory(limit or psutil.virtual_memory().total, bool(limit), _number(folders[0] / names[1]), int(killed))


def go_first(score: Path = SCORE) -> None:
    """Where memory is short, the kernel is to end this process and those that it starts before any other, so that the step can tell of it.

    A cluster's node may still end the container as a whole (its kubelet's `singleProcessOOMKill`).
    """
    try:
        score.write_text("1000")
    except OSError as error:  # not Linux, or a sandbox
        logger.info("which process ends first where memory is short is the kernel's choice: %s", error)


def _folders(root: Path, path: str) -> list[Path]:
    """The group's folder and those that it is in. In a container its own stands at the root, whatever the path says."""
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
    """Bytes as Kubernetes writes them.

    >>> mebibytes(629145600), mebibytes(17179869184)
    ('600Mi', '16Gi')
    """
    whole = round(count / 2**20)
    return f"{whole // 1024}Gi" if whole >= 1024 and whole % 1024 == 0 else f"{whole}Mi"
