"""The config of each recommender of this library, apart from the models: reading a config loads no torch."""

from collections.abc import Mapping
from typing import Literal, Self

from pydantic import Field, model_validator

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


class SASRecConfig(ModelConfig):
    """Holds the size of a SASRec."""

    name: Literal["sasrec"] = "sasrec"
    """SASRec (arXiv 1808.09781); with `pretrain.loss: gbce` it is gSASRec."""
    num_heads: int = Field(default=1, ge=1)
    """Attention heads; divides `hidden_size`."""
    dropout: float = Field(default=0.2, ge=0, lt=1)
    """Share of units that training sets to zero, of the embeddings and of what each layer adds."""

    @model_validator(mode="after")
    def _heads_divide(self) -> Self:
        if self.hidden_size % self.num_heads:
            raise ValueError(f"num_heads ({self.num_heads}) must divide hidden_size ({self.hidden_size})")
        return self


class ESASRecConfig(SASRecConfig):
    """Holds the size of an eSASRec."""

    name: Literal["esasrec"] = "esasrec"  # type: ignore[assignment]
    """eSASRec (arXiv 2508.06450): SASRec with LiGR blocks. The paper trains it by `pretrain.loss: sampled_softmax`.
    """
    feed_multiplier: int = Field(default=4, ge=1)
    """Units of a layer's SwiGLU, in hidden sizes. Published code: 4."""


class HSTUConfig(SASRecConfig):
    """Holds the size of an HSTU."""

    name: Literal["hstu"] = "hstu"  # type: ignore[assignment]
    """HSTU (arXiv 2402.17152), whose attention knows positions and no times."""


class TiSASRecConfig(SASRecConfig):
    """Holds the size of a TiSASRec."""

    name: Literal["tisasrec"] = "tisasrec"  # type: ignore[assignment]
    """TiSASRec (Li, Wang and McAuley, WSDM 2020)."""
    time_span: int = Field(default=256, ge=1)
    """Largest interval between two interactions, in units of the window's smallest one; longer ones count as this.
    Published: 256 to 2,048, by data set."""
    times: bool = True
    """Whether it reads times. Without them all gaps are equal, to compare with."""


class BERT4RecConfig(SASRecConfig):
    """Holds the size of a BERT4Rec, and what it masks."""

    name: Literal["bert4rec"] = "bert4rec"  # type: ignore[assignment]
    """BERT4Rec (arXiv 1904.06690)."""
    num_heads: int = Field(default=2, ge=1)
    """Attention heads; divides `hidden_size`. Published: 2."""
    masked_share: float = Field(default=0.2, gt=0, le=1)
    """Share of a window's items that are masked, in windows that are not cut. Published: 0.2 to 0.6, by data set."""
    cut_share: float = Field(default=0.5, ge=0, le=1)
    """Share of windows that are cut off behind a random item, which alone is masked, as if it were to be recommended.
    These keep reference lists: with 0, fine-tuning preserves nothing."""


class GRU4RecConfig(ModelConfig):
    """Holds the size of a GRU4Rec."""

    name: Literal["gru4rec"] = "gru4rec"
    """GRU4Rec (arXiv 1511.06939)."""
    dropout: float = Field(default=0.2, ge=0, lt=1)
    """Share of the embeddings' units that training sets to zero."""


class LSTMConfig(GRU4RecConfig):
    """Holds the size of an LSTM."""

    name: Literal["lstm"] = "lstm"  # type: ignore[assignment]
    """An LSTM in the place of GRU4Rec's GRU."""


class LatentCrossConfig(GRU4RecConfig):
    """Holds the size of a Latent Cross."""

    name: Literal["latent_cross"] = "latent_cross"  # type: ignore[assignment]
    """GRU4Rec with a latent cross (Beutel et al., WSDM 2018) of hour, day of the week and gap of each interaction."""
    times: bool = True
    """Whether it reads times. Without them it is a GRU4Rec, to compare with."""


class LRURecConfig(ModelConfig):
    """Holds the size of an LRURec."""

    name: Literal["lrurec"] = "lrurec"
    """LRURec (arXiv 2310.02367)."""
    feed_multiplier: int = Field(default=4, ge=1)
    """Units of a layer's position-wise layers, in hidden sizes. Published code: 4."""
    dropout: float = Field(default=0.2, ge=0, lt=1)
    """Share of units that training sets to zero, of the embeddings and of what each layer adds."""


SECTIONS: Mapping[str, type[ModelConfig]] = {
    "sasrec": SASRecConfig,
    "esasrec": ESASRecConfig,
    "hstu": HSTUConfig,
    "tisasrec": TiSASRecConfig,
    "bert4rec": BERT4RecConfig,
    "gru4rec": GRU4RecConfig,
    "lstm": LSTMConfig,
    "latent_cross": LatentCrossConfig,
    "lrurec": LRURecConfig,
}
"""The section of each of these models. One that is not here, as another package's, says it by its `Config` alone."""
