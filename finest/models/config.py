"""Config that every recommender has. Each model adds its own keys where it is written, as its `Config`."""

from pydantic import Field

from finest.section import Section

RENAMED = {"hidden": "hidden_size", "layers": "num_layers", "heads": "num_heads", "length": "max_length"}
"""Keys of a model in earlier versions, and what they are called now."""


class ModelConfig(Section):
    """Holds a sequential recommender's name and size.

    A model's own section is a subclass, with its name as a `Literal` and with validators for rules between keys.
    """

    name: str
    """The model, by its registered name."""
    hidden_size: int = Field(default=64, ge=1)
    """Units of the item embedding, of the encoder and of its feed-forward layers."""
    num_layers: int = Field(default=2, ge=1)
    """Layers of the encoder."""
    max_length: int = Field(default=50, ge=2)
    """Interactions in a window: the history that a prediction sees."""
    dropout: float = Field(default=0.2, ge=0, lt=1)
    """Share of activations that training sets to zero."""
