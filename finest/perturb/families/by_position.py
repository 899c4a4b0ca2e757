"""Rows by their position: from the beginnings or from the ends of the users' histories."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

import numpy as np

from finest.perturb.registry import FAMILIES, Family

if TYPE_CHECKING:
    from finest.data.dataset import Dataset, Ints

SHARE = 10
"""One in so many of a user's training rows, rounded down but at least one, can be selected."""


class ByPosition(Family):
    """Selects at random among the tenth of every user's training rows that lies at one side."""

    @staticmethod
    @abstractmethod
    def from_side(place: Ints, size: Ints) -> Ints:
        """Returns how many rows lie between each row and the side [N].

        Args:
            place: Each row's place in its history [N], from 0.
            size: The length of each row's history [N].
        """

    def select(self, data: Dataset, count: int, generator: np.random.Generator) -> Ints:
        """Draws without replacement."""
        row = np.flatnonzero(data.train)
        user = data.user[row]
        size = np.bincount(user, minlength=len(data.user_ids))
        place = np.arange(len(row)) - (np.cumsum(size) - size)[user]
        pool = row[self.from_side(place, size[user]) < np.maximum(1, size // SHARE)[user]]
        return generator.choice(pool, min(count, len(pool)), replace=False)


@FAMILIES.register("earliest")
class Earliest(ByPosition):
    """Selects among the first tenth of every user's training rows."""

    @staticmethod
    def from_side(place: Ints, size: Ints) -> Ints:
        """Counts from the first row."""
        return place


@FAMILIES.register("latest")
class Latest(ByPosition):
    """Selects among the last tenth of every user's training rows."""

    @staticmethod
    def from_side(place: Ints, size: Ints) -> Ints:
        """Counts from the last row."""
        return size - 1 - place
