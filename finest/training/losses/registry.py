"""Registers the losses that `pretrain.loss` can name."""

from typing import Any

from finest.registry import Registry
from finest.training.losses.base import Loss, LossConfig, SampledLoss


def _is_sampled_loss(thing: Any) -> bool:
    return isinstance(thing, type) and issubclass(thing, SampledLoss) and issubclass(thing.Config, LossConfig)


LOSSES: Registry[type[Loss]] = Registry("loss", "finest.losses", "finest.training.losses", _is_sampled_loss)
"""Loss classes by name; other packages add sampled ones by entry points of `finest.losses`."""
