"""Measures how much memory this process, or one that it started, has taken at most."""

import resource
import sys
from pathlib import Path

GIB = 2**30


def peak_bytes() -> int:
    """Returns the most resident memory of this process so far; where the system is no Linux, at least that.

    Not by getrusage where it can be helped: a process starts there from what its parent had.
    """
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except FileNotFoundError:
        return _largest(resource.RUSAGE_SELF)
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def family_peak_bytes() -> int:
    """Returns the most resident memory of this process, or of the largest one that it started and that has ended.

    What several have at a time is not added up; and one that was started counts at least what its starter had then.
    """
    return max(peak_bytes(), _largest(resource.RUSAGE_CHILDREN))


def _largest(who: int) -> int:
    return resource.getrusage(who).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
