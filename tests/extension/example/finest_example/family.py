"""Perturbation family `longest`: edits hit the users with the longest histories."""

import numpy as np
from pydantic import Field

from finest.data.dataset import Dataset, Ints
from finest.perturb.registry import Family, Options


class LongestOptions(Options):
    """Holds how many users are hit."""

    users: int = Field(default=10, ge=1)
    """Number of users, those with most training rows."""


class Longest(Family):
    """Selects at random among the training rows of the users with the longest histories."""

    Config = LongestOptions
    candidates = "training rows of the users with the longest histories"
    config: LongestOptions

    def select(self, data: Dataset, count: int, generator: np.random.Generator) -> Ints:
        """Draws without replacement."""
        row = np.flatnonzero(data.train)
        most = np.argsort(-np.bincount(data.user[row]), kind="stable")[: self.config.users]
        pool = row[np.isin(data.user[row], most)]
        chosen: Ints = generator.choice(pool, min(count, len(pool)), replace=False)
        return chosen
