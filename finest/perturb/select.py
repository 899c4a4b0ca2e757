"""Which training rows a scenario edits."""

import numpy as np

from finest.data.dataset import Dataset, Ints
from finest.errors import ConfigError
from finest.keys import numpy_generator
from finest.perturb.casper import cascades
from finest.perturb.config import Scenario


def select(data: Dataset, scenario: Scenario, look_back: int) -> Ints:
    """Ids of the chosen training rows, ascending: `scenario.share` of them, at least one. Depends on the scenario, not on the run's seed.

    Raises ConfigError where the family has fewer rows to choose from.
    """
    row = np.flatnonzero(data.train).astype(np.int64)
    count = max(1, round(scenario.share * len(row)))
    generator = numpy_generator("select", scenario.seed, scenario.family, scenario.kind)
    if scenario.family == "casper":
        start, reached = cascades(data, look_back)
        _enough(
            scenario, count, len(start), "start nodes with an outgoing edge (a smaller perturb.look_back makes more)"
        )
        tie = generator.random(len(start))
        return np.sort(start[np.lexsort((tie, -reached))[:count]])
    pool = row[_eligible(data, row, scenario.family)]
    _enough(scenario, count, len(pool), "training rows to choose from")
    return np.sort(generator.choice(pool, count, replace=False))


def _eligible(data: Dataset, row: Ints, family: str) -> np.ndarray:
    """Whether each training row is in the part of its user's rows that the family draws from."""
    if family == "random":
        return np.ones(len(row), dtype=bool)
    user = data.user[row]
    size = np.bincount(user, minlength=len(data.user_ids))
    place = np.arange(len(row)) - (np.cumsum(size) - size)[user]
    from_its_side = place if family == "earliest" else size[user] - 1 - place
    return from_its_side < np.maximum(1, size // 10)[user]


def _enough(scenario: Scenario, count: int, available: int, what: str) -> None:
    if available < count:
        raise ConfigError(
            f"perturb.scenarios: {scenario.name} edits {count} rows, but there are only {available} {what}; lower its share"
        )
