"""Measures how much memory this process has taken at most."""

import resource
from pathlib import Path

STATUS = Path("/proc/self/status")


def peak_mb() -> float:
    """Returns the largest resident memory of this process so far, in MB (1e6 bytes).

    On Linux by the kernel's high-water mark of this program; elsewhere by getrusage, which may have that of the process
    that started it.
    """
    if STATUS.exists():
        for line in STATUS.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
