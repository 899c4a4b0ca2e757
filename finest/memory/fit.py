"""Fits the weights of a memory's features, and of a network's scores among them, on instances that neither has seen.

Shapes: M instances.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from scipy import optimize

from finest.errors import DataError
from finest.histories import Ints
from finest.memory.features import NETWORK, POPULARITY
from finest.memory.fitting import Fitting
from finest.memory.sampled import sampled

SHRINKAGE = 1e-3
"""Weight of the squared distance to the prior weights, in units of a feature's spread, against the mean loss."""
ITERATIONS = 200
"""Largest number of steps of the optimizer; some 40 are taken."""
START = {NETWORK: 1.0, POPULARITY: 0.0}
"""Weights that fitting begins at, where nothing is known; 0 for any feature."""
WHOLE = 2**23
"""Largest number of scores that a loss is computed from; of a larger catalogue, some items stand for all."""


def fit(
    fitting: Fitting, powers: Sequence[float], prior: Mapping[str, float] | None = None, pull: float = SHRINKAGE
) -> list[dict[str, float]]:
    """Returns the weights of the smallest loss for each power: of log-likelihood, which is convex, and from there on.

    Args:
        fitting: The instances.
        powers: Powers q of the loss; 0 for log-likelihood.
        prior: Weights that the new ones are drawn to. What has none is drawn to START, by SHRINKAGE: a feature that is
            new may find its weight at once.
        pull: Weight of the squared distance to them, in units of a feature's spread, against the mean loss.

    Raises:
        DataError: There is nothing to fit on.
    """
    if not len(fitting.target):
        raise DataError("there is no held-out interaction of the validation cut to fit a memory's weights on")
    prior = prior or {}
    given = {**START, **prior}
    centre = np.array([given.get(name, 0.0) for name in fitting.weights])
    drawn = np.array([pull if name in prior else SHRINKAGE for name in fitting.weights])
    looked_at = fitting if len(fitting.target) * len(fitting.featured.everywhere) <= WHOLE else sampled(fitting)
    spread = looked_at.spread()

    def loss(scaled: npt.NDArray[np.float64], q: float) -> tuple[float, npt.NDArray[np.float64]]:
        value, gradient = looked_at.loss(scaled / spread, q)
        away = scaled - centre * spread
        return value + float(drawn @ away**2), gradient / spread + 2 * drawn * away

    def smallest(start: npt.NDArray[np.float64], q: float) -> npt.NDArray[np.float64]:
        steps = {"maxiter": ITERATIONS}
        return np.asarray(optimize.minimize(loss, start, args=(q,), jac=True, method="L-BFGS-B", options=steps).x)

    likeliest = smallest(centre * spread, 0.0)
    found = [likeliest if q == 0 else smallest(likeliest, q) for q in powers]
    return [dict(zip(fitting.weights, (scaled / spread).tolist(), strict=True)) for scaled in found]


def part_of(user: Ints, number: int) -> npt.NDArray[np.bool_]:
    """Tells which instances [M] are in one of so many parts of about the same size; a user's are in one together."""
    of = np.unique(user, return_inverse=True)[1]
    return np.asarray(of % number == 0)
