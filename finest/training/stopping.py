"""Ends a training once it does not improve any more on held-out rows, and keeps its best weights.

Shapes: M held-out instances.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from finest.data.dataset import Dataset
from finest.errors import DataError
from finest.models.ranking import rank, scored
from finest.models.registry import build
from finest.training.config import Pretrain
from finest.training.loop import Watch
from finest.training.recipe import Found

EVERY = 50
"""Least number of steps between two looks: an epoch of small data."""
SHARE = 40
"""Looks are a step in so many apart where that is more."""
LONGER = 3
"""A training has time for a step in so many without a better look, where that is more than the patience: the more steps
it has taken, the slower it improves."""
INSTANCES = 4000
"""Largest number of held-out instances of a look. They are the same every time, so that looks differ by less than the
standard error of an MRR."""
BEST = "best/"
"""Prefix of the best weights' names in a checkpoint."""

Measure = Callable[[Mapping[str, Tensor]], float]
"""Returns how good a model's state is, by name."""


class Stopping(Watch):
    """Ends a training that has not improved for a number of steps."""

    def __init__(self, measure: Measure, patience: int):
        """Makes the watch of one training.

        Args:
            measure: Gives what is to be large, by the state with the averaged weights.
            patience: Number of steps without a better look after which the training ends.
        """
        self.measure, self.patience = measure, patience
        self.curve: list[tuple[int, float]] = []
        """Steps and value of every look."""
        self.best: dict[str, Tensor] = {}

    def due(self, step: int) -> bool:
        """Returns whether it is to look after so many steps; see the base class."""
        last = self.curve[-1][0] if self.curve else 0
        return step >= last + max(EVERY, last // SHARE)

    def look(self, step: int, state: Mapping[str, Tensor]) -> None:
        """Measures the averaged weights, and keeps those that are better than all before; see the base class."""
        value = self.measure(state)
        if not self.curve or value > self._peak[1]:
            self.best = {name: tensor.detach().clone() for name, tensor in state.items()}
        self.curve.append((step, value))

    @property
    def over(self) -> bool:
        """Whether there was no better look for long enough."""
        if not self.curve:
            return False
        best = self._peak[0]
        return self.curve[-1][0] - best >= max(self.patience, best // LONGER)

    def found(self) -> Found:
        """Returns where the training stopped, and why."""
        (steps, value), last = self._peak, self.curve[-1][0]
        return Found(steps=steps, value=value, last=last, why="patience" if self.over else "maximum")

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Returns the looks and the best weights; see the base class."""
        return {BEST + name: weight for name, weight in self.best.items()}, {"looks": self.curve}

    def resume(self, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
        """Puts what `state` returned in place; see the base class."""
        self.curve = [(step, value) for step, value in facts["looks"]]
        self.best = {name.removeprefix(BEST): tensor for name, tensor in tensors.items() if name.startswith(BEST)}

    @property
    def _peak(self) -> tuple[int, float]:
        return max(self.curve, key=lambda look: look[1])  # the first of equal ones


class HeldOut:
    """Measures a model's MRR on the held-out rows of a data set, or on some of them."""

    def __init__(self, config: Pretrain, data: Dataset, seed: int, device: torch.device):
        """Draws the instances.

        Args:
            config: Section `pretrain`, for the model.
            data: The data set.
            seed: Decides which instances are drawn, where there are more than INSTANCES.
            device: Where the model ranks.

        Raises:
            DataError: There is no instance.
        """
        of = data.instances()
        number = np.flatnonzero(of.target > 0)
        if not len(number):
            raise DataError("pretrain.steps: auto has no held-out row of a validation cut to go by; set a number")
        if len(number) > INSTANCES:
            number = np.sort(np.random.default_rng(seed).choice(number, INSTANCES, replace=False))
        self.data, self.row, self.target = data, of.row[number], of.target[number]
        self.model = build(config.model, data.items).to(device).eval()

    @torch.no_grad()
    def __call__(self, state: Mapping[str, Tensor]) -> float:
        """Returns the MRR of the model in this state, by name; a target that lists leave out counts 0."""
        self.model.load_state_dict(state)
        histories, exclude = lambda part: self.data.histories(self.row[part]), self.data.manifest.exclude_seen
        found = scored(self.model, histories, len(self.row), exclude)
        ranks = [rank(scores_BI, self.target[part]) for part, scores_BI in found]
        return float(np.nan_to_num(1 / np.concatenate(ranks)).mean())
