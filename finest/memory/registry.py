"""Registry of the features that a memory can weigh. Nothing here loads numpy before a feature is asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from finest.registry import Registry

if TYPE_CHECKING:
    from finest.memory.seen import Floats, Pairs, Seen


@dataclass(frozen=True)
class Feature:
    """Describes a feature: a number for pairs of a history and an item, 0 for all other pairs."""

    values: Callable[[Seen], tuple[Pairs, Floats]]
    repeats: bool = False
    """Whether it is about items of the history itself, and so of use only where lists may repeat these."""


FEATURES: Registry[Feature] = Registry(
    "feature", "finest.features", "finest.memory.features", lambda thing: isinstance(thing, Feature), ordered=True
)
"""Features by name; other packages add theirs by entry points of `finest.features`. The logarithm of an item's
popularity is one more, which every item has."""


def feature(*, repeats: bool = False) -> Callable[[Callable[[Seen], tuple[Pairs, Floats]]], Feature]:
    """Returns a decorator that makes a feature of a function.

    Args:
        repeats: Whether it is about items of the history itself.
    """
    return lambda values: Feature(values, repeats)
