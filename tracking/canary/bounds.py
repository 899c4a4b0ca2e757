"""What serving a package takes, and the bounds that it must keep to."""

from dataclasses import asdict, dataclass

from tracking.canary.environment import Kind

LEAST = {"load_s": 5.0, "p50_ms": 5.0, "memory_mb": 200.0}
"""Differences to the champion that are never too much, however small it is: what people notice begins above."""


@dataclass(frozen=True)
class Bounds:
    """Says how a package is tried, and within what it must serve; None is no bound."""

    environment: Kind = "installed"
    patience_s: float = 300.0
    """Seconds that a process may take to load, or to answer once, before it counts as hanging."""
    max_load_s: float | None = None
    max_p95_ms: float | None = None
    max_memory_mb: float | None = None
    max_slowdown: float | None = None
    """Largest factor to what the champion takes beside it: to load, to answer in the median, and in memory."""


@dataclass(frozen=True)
class Measured:
    """Holds what serving takes; requests are of one history each."""

    load_s: float
    """Seconds from the start of the program until the model is loaded."""
    p50_ms: float
    p95_ms: float
    memory_mb: float
    """Most memory that the process has held, in MB of 1e6 bytes."""

    def metrics(self) -> dict[str, float]:
        """Returns the metrics, by name."""
        return {f"canary/{name}": value for name, value in asdict(self).items()}

    def __str__(self) -> str:
        latency = f"p50 {self.p50_ms:.1f} ms, p95 {self.p95_ms:.1f} ms"
        return f"{latency}, {self.memory_mb:,.0f} MB, loaded in {self.load_s:.1f} s"


SAID = {
    "load_s": ("loading takes", "s"),
    "p50_ms": ("the median answer takes", "ms"),
    "p95_ms": ("one answer of twenty takes over", "ms"),
    "memory_mb": ("it takes", "MB"),
}


def too_much(measured: Measured, than: Measured | None, bounds: Bounds) -> str:
    """Returns what is over its bound, with numbers; empty for nothing.

    >>> took = Measured(load_s=4.0, p50_ms=50.0, p95_ms=60.0, memory_mb=400.0)
    >>> too_much(took, None, Bounds(max_p95_ms=40.0))
    'one answer of twenty takes over 60.0 ms, and promote.max_p95_ms is 40'
    >>> too_much(took, Measured(load_s=4.0, p50_ms=5.0, p95_ms=6.0, memory_mb=400.0), Bounds(max_slowdown=3.0))
    "the median answer takes 50.0 ms, the champion's beside it 5.0 ms, and promote.max_slowdown is 3"
    """
    found = []
    absolute = {"max_load_s": "load_s", "max_p95_ms": "p95_ms", "max_memory_mb": "memory_mb"}
    for option, name in absolute.items():
        value, bound = getattr(measured, name), getattr(bounds, option)
        if bound is not None and value > bound:
            found.append(f"{_said(name, value)}, and promote.{option} is {bound:g}")
    for name, least in LEAST.items() if than and bounds.max_slowdown is not None else ():
        value, other = getattr(measured, name), getattr(than, name)
        if value > bounds.max_slowdown * other and value - other > least:
            found.append(
                f"{_said(name, value)}, the champion's beside it {other:,.1f} {SAID[name][1]}, and "
                f"promote.max_slowdown is {bounds.max_slowdown:g}"
            )
    return "; ".join(found)


def _said(name: str, value: float) -> str:
    before, unit = SAID[name]
    return f"{before} {value:,.1f} {unit}"
