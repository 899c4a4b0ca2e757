"""The instances that a memory's weights are fitted on: the scores of all items, and their loss.

Shapes: M instances, I items, F features, E pairs of an instance and an item.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol

import numpy as np
import numpy.typing as npt
from scipy.special import digamma

from finest.histories import Ints
from finest.memory.featured import Featured, size
from finest.memory.features import NETWORK, POPULARITY
from finest.memory.seen import Floats, Pairs

AT_A_TIME = 2**26
"""Largest number of scores that are in memory at a time, 256 MiB."""


class Computed(Protocol):
    """Stands for log-probabilities that do not fit into memory, and are computed when an array is made of them."""

    def __getitem__(self, which: Ints) -> "Computed":
        """Returns those of some instances."""

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> Floats:
        """Computes them."""


@dataclass(frozen=True)
class Fitting:
    """Holds M instances to fit on."""

    featured: Featured
    """Their histories, and what is counted in rows that do not hold the targets."""
    target: Ints
    """[M] codes from 1."""
    user: Ints
    """[M] who it was, for folds."""
    network: Floats | Computed | None
    """[M, I] log-probabilities of a network that has not been trained on the targets; None to do without."""
    excluded: Pairs | None
    """Pairs that lists leave out."""

    @cached_property
    def left_out(self) -> Ints:
        """Returns where what lists leave out stands in a flat matrix of M x I scores."""
        return np.empty(0, np.int64) if self.excluded is None else self.featured.flat(self.excluded)

    @property
    def weights(self) -> list[str]:
        """Returns the names of all weights, in order."""
        return [*([NETWORK] if self.network is not None else []), POPULARITY, *self.featured.names]

    def spread(self) -> npt.NDArray[np.float64]:
        """Returns how large what each weight is multiplied with is: its standard deviation over all items.

        Of a feature, it is the root mean square where that is not 0.
        """
        parts = [np.asarray(self.network)] if self.network is not None else []
        found = [float(part.std(dtype=np.float64)) for part in [*parts, self.featured.everywhere]]
        return np.maximum([*found, *map(size, self.featured.columns.values())], 1e-3)

    def scores(self, weights: Mapping[str, float]) -> npt.NDArray[np.float32]:
        """Returns the scores of all items [M, I]; -inf for what lists leave out."""
        shape = len(self.target), len(self.featured.everywhere)
        scores: npt.NDArray[np.float32] = np.zeros(shape, np.float32)
        if self.network is not None:
            scores += np.float32(weights[NETWORK]) * np.asarray(self.network)
        scores += np.float32(weights[POPULARITY]) * self.featured.everywhere
        for name, column in self.featured.columns.items():
            scores.reshape(-1)[self.featured.place] += np.float32(weights[name]) * column
        if self.excluded is not None:
            scores.reshape(-1)[self.left_out] = -np.inf
        return scores

    def loss(self, weights: npt.NDArray[np.float64], power: float) -> tuple[float, npt.NDArray[np.float64]]:
        """Returns the mean loss and its gradient: -log p of the targets where `power` is 0, else (1 - p^q) / q.

        The logarithm spends itself on targets that no feature can find; with a power these count little.
        """
        M = len(self.target)
        p = self.scores(dict(zip(self.weights, weights, strict=True)))
        p -= p.max(1, keepdims=True)
        np.exp(p, out=p)
        p /= p.sum(1, dtype=np.float64)[:, None].astype(np.float32)
        own = np.maximum(p[np.arange(M), self.target - 1].astype(np.float64), 1e-30)
        p[np.arange(M), self.target - 1] -= 1
        loss = -np.log(own) if power == 0 else (1 - own**power) / power
        p *= (own**power / M).astype(np.float32)[:, None]
        gradient = [float((p * np.asarray(self.network)).sum(dtype=np.float64))] if self.network is not None else []
        gradient.append(float((p.sum(0, dtype=np.float64) * self.featured.everywhere).sum()))
        there = p.reshape(-1)[self.featured.place]
        gradient += [float((there * column).sum(dtype=np.float64)) for column in self.featured.columns.values()]
        return float(loss.mean()), np.array(gradient)

    def reciprocal_ranks(self, weights: Mapping[str, float]) -> npt.NDArray[np.float64]:
        """Returns one over the rank of every target [M]: the mean over all orders of what is tied with it.

        One over the mean rank would be less, and so favour scores that break ties by chance.
        """
        return np.concatenate([part._reciprocal_ranks(weights) for part in self.parts()])

    def _reciprocal_ranks(self, weights: Mapping[str, float]) -> npt.NDArray[np.float64]:
        scores = self.scores(weights)
        own = scores[np.arange(len(self.target)), self.target - 1][:, None]
        better, equal = (scores > own).sum(1), (scores == own).sum(1)
        return np.asarray((digamma(better + equal + 1) - digamma(better + 1)) / equal)

    def only(self, chosen: npt.NDArray[np.bool_]) -> "Fitting":
        """Returns some of the instances."""
        excluded = None
        if self.excluded is not None:
            inside = chosen[self.excluded.history]
            number = np.cumsum(chosen) - 1
            excluded = Pairs(number[self.excluded.history[inside]], self.excluded.item[inside])
        network = None if self.network is None else self.network[np.flatnonzero(chosen)]
        return Fitting(self.featured.only(chosen), self.target[chosen], self.user[chosen], network, excluded)

    def parts(self) -> Iterator["Fitting"]:
        """Yields the instances, so many at a time that their scores fit into memory, the network's too."""
        M, most = len(self.target), max(1, AT_A_TIME // len(self.featured.everywhere))
        for first in range(0, M, most):
            number = np.arange(M)
            part = self if most >= M else self.only((first <= number) & (number < first + most))
            yield part if part.network is None else replace(part, network=np.asarray(part.network))

    def without_network(self) -> "Fitting":
        """Returns the instances without the network's scores."""
        return replace(self, network=None)
