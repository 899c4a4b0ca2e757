"""The recommenders that a config can name."""

from finest.errors import ConfigError
from finest.models.config import Model
from finest.models.gru4rec import GRU4Rec
from finest.models.recommender import Recommender
from finest.models.sasrec import SASRec

RECOMMENDERS: dict[str, type[Recommender]] = {"sasrec": SASRec, "gru4rec": GRU4Rec}


def build(config: Model, items: int) -> Recommender:
    """A recommender of `items` items with weights not yet set."""
    if config.hidden_size % config.num_heads:
        raise ConfigError(
            f"pretrain.model.num_heads: {config.num_heads} does not divide pretrain.model.hidden_size ({config.hidden_size})"
        )
    return RECOMMENDERS[config.name](config, items)
