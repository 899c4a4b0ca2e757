"""Rows of users or items of which little is known."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from pydantic import Field

from finest.perturb.registry import FAMILIES, Family, Options

if TYPE_CHECKING:
    from finest.data.dataset import Dataset, Ints


@FAMILIES.register("cold_start")
class ColdStart(Family):
    """Selects at random among the training rows of users, or of items, that have few of them."""

    class Config(Options):
        """Says who is cold."""

        of: Literal["users", "items"] = "users"
        """Whose interactions are few."""
        max_interactions: int = Field(default=10, ge=1)
        """Most training interactions that a cold user or item has."""

    config: Config
    candidates: ClassVar[str] = "training rows of cold users or items (a larger max_interactions makes more)"

    def select(self, data: Dataset, count: int, generator: np.random.Generator) -> Ints:
        """Draws without replacement."""
        row = np.flatnonzero(data.train)
        of = data.user[row] if self.config.of == "users" else data.item[row]
        pool = row[np.bincount(of)[of] <= self.config.max_interactions]
        return generator.choice(pool, min(count, len(pool)), replace=False)
