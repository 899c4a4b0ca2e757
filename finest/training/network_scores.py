"""What a network says of the instances that a memory's weights are fitted to, in memory where it fits there.

Shapes: M instances, I items.
"""

import numpy as np
import torch
from numpy.typing import DTypeLike

from finest.data.dataset import Dataset, Ints
from finest.memory.seen import Floats
from finest.models.ranking import scored
from finest.models.recommender import Recommender
from finest.training.device import prepare

HELD = 2**27
"""Largest number of scores that are kept in memory, 512 MiB; others are computed whenever they are looked at."""


class LogProbabilities:
    """Stands for log-probabilities [M, I], which are computed when an array is made of it."""

    def __init__(self, model: Recommender, data: Dataset, row: Ints, codes: Ints | None = None):
        """Takes what `log_probabilities` takes."""
        self._model, self._data, self._row, self._codes = model, data, row, codes

    def __getitem__(self, which: Ints) -> "LogProbabilities":
        """Returns those of some instances."""
        return LogProbabilities(self._model, self._data, self._row[which], self._codes)

    @torch.no_grad()
    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> Floats:
        """Computes them."""
        prepare(self._model.embedding.device)
        theirs = np.empty((len(self._row), self._model.items), np.float32)
        chunks = scored(
            self._model, lambda part: self._data.histories(self._row[part]), len(self._row), exclude_seen=False
        )
        for part, scores_BI in chunks:
            theirs[part] = scores_BI.log_softmax(1).cpu().numpy()
        if self._codes is None:
            return theirs
        result = np.repeat(theirs.min(1, initial=0.0)[:, None], len(self._codes) - 1, axis=1)
        result[:, self._codes[1:] > 0] = theirs[:, self._codes[self._codes > 0] - 1]
        return result


def log_probabilities(
    model: Recommender, data: Dataset, row: Ints, codes: Ints | None = None
) -> Floats | LogProbabilities:
    """Returns log-probabilities of all items at rows, as an array where they fit into memory.

    Args:
        model: The network.
        data: The data set that the rows are of, in codes of the network's own catalogue.
        row: The rows [M].
        codes: [I + 1] code there of each item of another catalogue, whose items are then scored: one that the network
            lacks, with code 0, has the least of its log-probabilities. None for its own catalogue.
    """
    found = LogProbabilities(model, data, row, codes)
    items = model.items if codes is None else len(codes) - 1
    return np.asarray(found) if len(row) * items <= HELD else found
