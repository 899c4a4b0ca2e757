"""Registers the regularisers that `finetune.regulariser` can name."""

from typing import TYPE_CHECKING

from finest.registry import Registry

if TYPE_CHECKING:
    from finest.training.regularisers.base import Regulariser

REGULARISERS: "Registry[type[Regulariser]]" = Registry(
    "regulariser", "finest.regularisers", "finest.training.regularisers"
)
"""Regulariser classes by name; other packages add theirs by entry points of `finest.regularisers`."""
