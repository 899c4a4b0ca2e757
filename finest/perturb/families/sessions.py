"""Whole sessions: a user's rows that follow each other without a long pause."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np
from pydantic import Field

from finest.perturb.kinds import HOUR
from finest.perturb.registry import FAMILIES, Family, Options

if TYPE_CHECKING:
    from finest.data.dataset import Dataset, Ints

MINUTE = HOUR // 60
"""A minute in microseconds."""


@FAMILIES.register("sessions")
class Sessions(Family):
    """Selects whole sessions at random, as many as fit into the number of rows; with deletion, session drop-out.

    A session ends where the user's next training row is more than `gap_minutes` later. Sessions are taken in random
    order, and one that does not fit any more is passed over, so that the rows are as many as asked for or a few less.
    """

    class Config(Options):
        """Says what a session is."""

        gap_minutes: float = Field(default=30.0, gt=0, le=527_040)
        """Longest pause within a session, in minutes."""

    config: Config
    exact: ClassVar[bool] = False
    candidates: ClassVar[str] = "sessions as short as that (a smaller gap_minutes of the family makes shorter ones)"

    def select(self, data: Dataset, count: int, generator: np.random.Generator) -> Ints:
        """Takes sessions in random order."""
        row = np.flatnonzero(data.train)
        pause = np.diff(data.timestamp[row]) > round(self.config.gap_minutes * MINUTE)
        fresh = np.r_[True, (np.diff(data.user[row]) > 0) | pause][: len(row)]
        session = np.cumsum(fresh) - 1
        size = np.bincount(session)
        taken, left = np.zeros(len(size), dtype=bool), count
        for one in generator.permutation(len(size)).tolist():
            if size[one] <= left:
                taken[one] = True
                left -= int(size[one])
                if not left:
                    break
        chosen: Ints = row[taken[session]]
        return chosen
