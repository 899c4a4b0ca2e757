"""Registers the regularisers that `finetune.regulariser` can name."""

from typing import Any

from finest.registry import Registry
from finest.training.regularisers.base import Regulariser, RegulariserConfig


def _is_regulariser(thing: Any) -> bool:
    return isinstance(thing, type) and issubclass(thing, Regulariser) and issubclass(thing.Config, RegulariserConfig)


REGULARISERS: Registry[type[Regulariser]] = Registry(
    "regulariser", "finest.regularisers", "finest.training.regularisers", _is_regulariser
)
"""Regulariser classes by name; other packages add theirs by entry points of `finest.regularisers`."""
