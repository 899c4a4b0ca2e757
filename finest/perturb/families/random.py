"""Rows at random: the family of the paper's main experiments."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from finest.perturb.registry import FAMILIES, Family

if TYPE_CHECKING:
    from finest.data.dataset import Dataset, Ints


@FAMILIES.register("random")
class Random(Family):
    """Selects among all training rows, each as likely as any other."""

    def select(self, data: Dataset, count: int, generator: np.random.Generator) -> Ints:
        """Draws without replacement."""
        row = np.flatnonzero(data.train)
        return generator.choice(row, min(count, len(row)), replace=False)
