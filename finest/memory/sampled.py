"""The loss of a memory's weights over some items of a large catalogue that stand for all of them.

Of each instance these are its target, every item that has a feature, and items that are drawn; each of the drawn ones
stands for as many as its chance says (importance sampling), so that the sum over the catalogue is right on average,
whatever the weights are. What tells items apart is exact; only the rest of the sum under the softmax is estimated.

Shapes: M instances, I items, F weights, E scores of all instances.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from finest import keys
from finest.histories import Ints
from finest.memory.featured import distinct, size
from finest.memory.fitting import Fitting
from finest.memory.seen import Floats

DRAWS = 1024
"""Number of items that are drawn for an instance: a half by the network's probability, a quarter each by popularity and
alike for all items. Without a network these two have a half each."""


@dataclass(frozen=True)
class Sampled:
    """Holds E scores, sorted by instance, as what each weight is multiplied with."""

    weights: Sequence[str]
    """Names of the weights."""
    values: Floats
    """[F, E]"""
    correction: Floats
    """[E] log of the number of items that a score stands for."""
    start: Ints
    """[M + 1] where an instance's scores begin, and the end of the last one's."""
    own: Ints
    """[M] which score is the target's."""
    spreads: npt.NDArray[np.float64]
    """[F] how large what each weight is multiplied with is, as `Fitting.spread` says it."""

    def spread(self) -> npt.NDArray[np.float64]:
        """Returns how large what each weight is multiplied with is."""
        return self.spreads

    def loss(self, weights: npt.NDArray[np.float64], power: float) -> tuple[float, npt.NDArray[np.float64]]:
        """Returns the mean loss and its gradient, as `Fitting.loss` defines them."""
        M, row = len(self.own), np.repeat(np.arange(len(self.own)), np.diff(self.start))
        p = self.correction.copy()
        for weight, value in zip(weights, self.values, strict=True):
            p += np.float32(weight) * value
        p -= np.maximum.reduceat(p, self.start[:-1])[row]
        np.exp(p, out=p)
        p /= np.add.reduceat(p, self.start[:-1], dtype=np.float64).astype(np.float32)[row]
        own = np.maximum(p[self.own].astype(np.float64), 1e-30)
        p[self.own] -= 1
        loss = -np.log(own) if power == 0 else (1 - own**power) / power
        p *= (own**power / M).astype(np.float32)[row]
        return float(loss.mean()), np.array([float((p * value).sum(dtype=np.float64)) for value in self.values])


def sampled(fitting: Fitting) -> Sampled:
    """Returns the scores that stand for all scores of the instances. Equal instances have equal draws."""
    generator = keys.numpy_generator("memory", "sampled", len(fitting.target), len(fitting.featured.everywhere))
    values: list[Floats] = []
    corrections: list[Floats] = []
    sizes, places = [], []
    total, squares, number, before = 0.0, 0.0, 0, 0
    for part in fitting.parts():
        M, I, of = len(part.target), len(part.featured.everywhere), part.featured
        network = None if part.network is None else np.asarray(part.network)
        target = np.arange(M) * I + part.target - 1
        exact = distinct(np.concatenate([of.place, target]))
        drawn, times = np.unique(_drawn(part, network, generator), return_counts=True)
        new = ~np.isin(drawn, exact)
        chance = _chance(part, network, drawn[new])
        place = np.concatenate([exact, drawn[new]])
        correction = np.concatenate([np.zeros(len(exact)), np.log(times[new] / (DRAWS * chance))])
        order = np.argsort(place)
        order = order[~np.isin(place[order], part.left_out)]
        place, correction = place[order], correction[order]
        rows = [] if network is None else [network.reshape(-1)[place]]
        rows.append(of.everywhere[place % I])
        featured = np.flatnonzero(np.isin(place, of.place))
        for column in of.columns.values():
            rows.append(np.zeros(len(place), np.float32))
            rows[-1][featured] = column[np.searchsorted(of.place, place[featured])]
        if network is not None:
            total += float(network.sum(dtype=np.float64))
            squares += float(np.square(network, dtype=np.float64).sum())
            number += network.size
        places.append(before + np.searchsorted(place, target))
        before += len(place)
        sizes.append(np.bincount(place // I, minlength=M))
        values.append(np.stack(rows))
        corrections.append(correction.astype(np.float32))
    every, first = np.concatenate(values, axis=1), len(fitting.weights) - len(fitting.featured.names)
    found = [] if fitting.network is None else [float(np.sqrt(squares / number - (total / number) ** 2))]
    found.append(float(fitting.featured.everywhere.std(dtype=np.float64)))
    found += map(size, every[first:])
    return Sampled(
        fitting.weights,
        every,
        np.concatenate(corrections),
        np.concatenate([[0], np.cumsum(np.concatenate(sizes))]),
        np.concatenate(places),
        np.maximum(found, 1e-3),
    )


def _drawn(part: Fitting, network: Floats | None, generator: np.random.Generator) -> Ints:
    """Returns the places of what is drawn, in a flat matrix of M x I scores."""
    M, I = len(part.target), len(part.featured.everywhere)
    by_network = 0 if network is None else DRAWS // 2
    by_popularity = (DRAWS - by_network) // 2
    chosen = generator.random((M, DRAWS))
    item = (chosen * I).astype(np.int64)
    sums = np.cumsum(part.featured.counts.popularity[1:])
    item[:, :by_popularity] = np.searchsorted(sums, chosen[:, :by_popularity] * sums[-1], side="right")
    if network is not None:
        for row, logp in enumerate(network):
            sums = np.cumsum(np.exp(logp), dtype=np.float64)
            item[row, -by_network:] = np.searchsorted(sums, chosen[row, -by_network:] * sums[-1], side="right")
    return (np.arange(M)[:, None] * I + np.minimum(item, I - 1)).reshape(-1)


def _chance(part: Fitting, network: Floats | None, place: Ints) -> npt.NDArray[np.float64]:
    """Returns the chance of these places to be drawn, by all of the ways together."""
    I = len(part.featured.everywhere)
    rest = (part.featured.counts.popularity[1 + place % I] + 1 / I) / 2
    return rest if network is None else (rest + np.exp(network.reshape(-1)[place].astype(np.float64))) / 2
