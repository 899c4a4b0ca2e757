"""LSTM: a long short-term memory over a user's last interactions (Hochreiter and Schmidhuber, 1997).

The third of the models that FINEST was published with (arXiv 2402.03481).
"""

from torch import nn

from finest.models.config import LSTMConfig
from finest.models.gru4rec import GRU4Rec
from finest.models.registry import MODELS


@MODELS.register("lstm")
class LSTM(GRU4Rec):
    """Is GRU4Rec with LSTM layers; not stackable for the same reason."""

    Config = LSTMConfig
    layer = nn.LSTM
