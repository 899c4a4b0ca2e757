"""The registries of accuracy metrics and list similarities, and what each is.

What is registered is measured in every verdict, and shown and logged by itself, under its name and label:

    @METRICS.register("hit_at_3")
    @metric(label="Hit@3", form="percent")
    def hit_at_3(ranked: Ranked) -> Values:
        return (ranked.target_rank <= 3).astype(np.float64)

Another installed package registers by an entry point of the group `finest.metrics` or `finest.similarities` in place of
the first line.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from finest.errors import FinestError
from finest.metrics.overlaps import Lists, Pair, Values
from finest.registry import Registry

Form = Literal["number", "percent"]
Shown = Literal["everywhere", "report", "nowhere"]


@dataclass(frozen=True)
class Ranked:
    """Holds one model's rank lists of M instances; what an accuracy metric gets."""

    target_rank: Values
    """Rank of each target [M] from 1, the mean over ties; NaN where the target cannot be ranked."""
    items: Lists
    """Rank lists [M, D] as codes of items, best first; -1 behind a short list."""
    catalogue: int
    """Number of items that the model ranks."""


@dataclass(frozen=True)
class Metric:
    """Holds an accuracy metric. Verdicts have its mean over all instances."""

    values: Callable[[Ranked], Values]
    """Returns a finite value an instance [M], whatever else is ranked; a target that cannot be ranked counts as not
    found."""
    label: str
    """Heading of its column, like `Recall@10`."""
    form: Form = "number"
    larger_is_better: bool = True

    @property
    def heading(self) -> str:
        """Returns the label, with a hint where readers could take the direction for the usual one."""
        return self.label if self.larger_is_better else f"{self.label} (lower is better)"


@dataclass(frozen=True)
class Similarity:
    """Holds a list similarity. Verdicts have its means over all instances: the RLS by that similarity."""

    values: Callable[[Pair], Values]
    """Returns a value an instance [M]: 1 for equal lists, 0 for lists without a common item, the same if X
    and Y swap."""
    label: str
    """Heading of its columns, like `Jaccard@10`."""
    shown: Shown = "everywhere"
    """Which tables have it: all, the report's alone, or none. verdict.json and MLflow have it in any case."""


def _columns() -> Iterable[str]:
    from finest.gate.verdict import Accuracy

    return Accuracy.model_fields


METRICS: Registry[Metric] = Registry(
    "metric",
    "finest.metrics",
    "finest.metrics.accuracy",
    lambda thing: isinstance(thing, Metric),
    ordered=True,
    reserved=_columns,
)
SIMILARITIES: Registry[Similarity] = Registry(
    "list similarity",
    "finest.similarities",
    "finest.metrics.similarity",
    lambda thing: isinstance(thing, Similarity),
    ordered=True,
)


def measured(
    registry: "Registry[Metric] | Registry[Similarity]", name: str, given: Any, high: float = np.inf
) -> Values:
    """Returns what a metric or a similarity makes of `given`: a value an instance [M].

    Args:
        registry: METRICS or SIMILARITIES.
        name: The metric's or the similarity's name.
        given: What it gets.
        high: Largest value that there can be.

    Raises:
        FinestError: It gives something else.
    """
    M = len(given.items if isinstance(given, Ranked) else given.X)
    with registry.at_work(name):
        values = np.asarray(registry[name].values(given), np.float64)
    if values.shape != (M,) or not np.isfinite(values).all() or values.max(initial=0) > high:
        least, most = (f"{edge(values):g}" for edge in (np.min, np.max)) if values.size else ("none", "none")
        raise FinestError(
            f"{registry.kind} {name} must give a finite value{'' if np.isinf(high) else f' up to {high:g}'} for each "
            f"of {M} instances; it gives shape {values.shape}, from {least} to {most}"
        )
    return values


def metric(
    *, label: str, form: Form = "number", larger_is_better: bool = True
) -> Callable[[Callable[[Ranked], Values]], Metric]:
    """Returns a decorator that makes an accuracy metric of a function.

    Args:
        label: Heading of its column, like `Recall@10`.
        form: How tables write it.
        larger_is_better: Whether a better model has a larger value.
    """
    return lambda values: Metric(values, label, form, larger_is_better)


def similarity(*, label: str, shown: Shown = "everywhere") -> Callable[[Callable[[Pair], Values]], Similarity]:
    """Returns a decorator that makes a list similarity of a function.

    Args:
        label: Heading of its columns, like `Jaccard@10`.
        shown: Which tables have it: all, the report's alone, or none.
    """
    return lambda values: Similarity(values, label, shown)
