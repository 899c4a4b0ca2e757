"""Registry of the recommenders that a config can name. Nothing here loads torch before a model is built."""

from typing import TYPE_CHECKING, Any

from finest.models.config import SECTIONS, ModelConfig
from finest.registry import Registry

if TYPE_CHECKING:
    from finest.models.recommender import Recommender


def _is_recommender(thing: Any) -> bool:
    from finest.models.recommender import Recommender

    return isinstance(thing, type) and issubclass(thing, Recommender) and issubclass(thing.Config, ModelConfig)


MODELS: Registry[type["Recommender"]] = Registry(
    "model", "finest.models", "finest.models", _is_recommender, sections=SECTIONS
)
"""Recommenders by name; other packages add theirs by entry points of the group `finest.models`."""


def build(config: ModelConfig, items: int) -> "Recommender":
    """Returns the recommender that a config describes; `initialise` or a state dict sets its weights.

    Args:
        config: Its section, of the class that the model has as `Config`.
        items: Number of items of the catalogue; their codes count from 1.
    """
    return MODELS[config.name](config, items)
