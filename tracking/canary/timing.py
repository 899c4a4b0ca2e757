"""Times a package's answers, in turns with the champion's: a busy machine makes both slow."""

from collections.abc import Sequence

import numpy as np

from tracking.canary.bounds import Measured
from tracking.canary.process import Served

WARM_UP, TIMED = 10, 100
"""Numbers of requests before the timed ones, and of those."""


def timed(
    candidate: Served, champion: Served | None, histories: Sequence[Sequence[str]], known: frozenset[str]
) -> tuple[Measured, Measured | None]:
    """Returns what candidate and champion take for the same requests, of one history each, one after the other.

    Args:
        candidate: The package that is tried.
        champion: The one in production; None to time nothing beside it.
        histories: What is asked for, in turn.
        known: Items that the champion knows: a history of none of them is no work for it.

    Returns:
        The candidate's and the champion's; None for that where there is none, or no history is work for it.
    """
    common = [one for one in histories if not known.isdisjoint(one)] if champion else []
    asked = common or histories
    both = [candidate, champion] if champion and common else [candidate]
    taken: dict[str, list[float]] = {one.name: [] for one in both}
    for number in range(WARM_UP + TIMED):
        for one in both[:: -1 if number % 2 else 1]:
            taken[one.name].append(one.ask({"history": [list(asked[number % len(asked)])]}).seconds)
    found = [_measured(one, taken[one.name][WARM_UP:]) for one in both]
    return found[0], found[1] if len(found) > 1 else None


def _measured(served: Served, seconds: list[float]) -> Measured:
    p50, p95 = np.percentile(seconds, [50, 95]) * 1e3
    return Measured(load_s=served.load_s, p50_ms=float(p50), p95_ms=float(p95), memory_mb=served.memory_mb)
