"""Config of the recommenders."""

from typing import Literal

from pydantic import Field

from finest.section import Section


class Model(Section):
    """A sequential recommender and its size."""

    name: Literal["sasrec", "gru4rec"] = "sasrec"
    """SASRec (arXiv 1808.09781) or GRU4Rec (arXiv 1511.06939), both trained with cross-entropy over the whole catalogue."""
    hidden_size: int = Field(default=64, ge=1)
    """Units of the item embedding, of the encoder and of its feed-forward layers."""
    num_layers: int = Field(default=2, ge=1)
    """Layers of the encoder."""
    num_heads: int = Field(default=1, ge=1)
    """SASRec: attention heads; divides `hidden_size`."""
    max_length: int = Field(default=50, ge=2)
    """Interactions in a window: the history that a prediction sees."""
    dropout: float = Field(default=0.2, ge=0, lt=1)
    """SASRec: on the embeddings and on what each layer adds; GRU4Rec: on the embeddings."""
