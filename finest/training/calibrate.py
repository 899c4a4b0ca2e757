"""Finds how long models train and what they are served with: trains on a validation cut, fits weights, and chooses.

Nothing that is fitted or chosen here has seen the rows that it is fitted or chosen on, and test rows are never looked
at.
"""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from finest import atomic
from finest.data.dataset import Dataset, Ints
from finest.memory.features import NETWORK, POPULARITY
from finest.memory.fit import Fitting, fit, part_of
from finest.models.saved import read_facts
from finest.training import unseen
from finest.training.config import Pretrain
from finest.training.device import choose
from finest.training.progress import Report
from finest.training.recipe import Choice, Recipe
from finest.training.store import Store
from finest.training.trial import Trial, known_length, steps_of_epoch

POWERS = (0.0, 0.5)
"""Powers q of the loss that weights are fitted by; the better one on the other users is taken."""

logger = logging.getLogger(__name__)


def calibrate(
    data: Dataset, config: Pretrain, seed: int, champion: Path | None, store: Store, out: Path, report: Report
) -> None:
    """Writes `out`/recipe.json.

    Args:
        data: The data set.
        config: Section `pretrain`.
        seed: Seed of the whole run.
        champion: Folder of the model in production, to whose weights the new ones are drawn; None without one.
        store: Place of the checkpoint of the training on the validation cut.
        out: Folder to write.
        report: Told of progress.
    """
    with atomic.folder(out, replace=True) as folder:
        recipe = find(data, config, seed, champion, store, report)
        recipe.write(folder)
    logger.info("%s", recipe.sentence or "no memory is configured: the network is served alone")


def find(data: Dataset, config: Pretrain, seed: int, champion: Path | None, store: Store, report: Report) -> Recipe:
    """Returns the recipe. What the champion has of it stands for some nights, and then nothing is trained here.

    The arguments are those of `calibrate`.
    """
    facts, memory, length = read_facts(champion) if champion else None, config.memory, None
    if facts and (known := known_length(facts, data, config)):
        length = known.scaled(steps_of_epoch(data, config))
    kept = config.steps == "auto" and length is not None
    if memory == "off":
        if kept or config.steps != "auto":
            return Recipe(chosen="network", length=length, kept=kept)
        trained = Trial(data, config, seed, None).train(store, report)
        return Recipe(chosen="network", length=trained.length, found=trained.found, scale=trained.scale)
    before = facts.memory if facts else None
    if champion and length:
        theirs = unseen.of_champion(champion, data, memory, seed, choose(config.device))
        if len(theirs.target) >= memory.instances:
            recipe = choose_among(theirs, before, memory.pull, memory.serve)
            return recipe.model_copy(update={"network": "champion", "length": length, "kept": kept})
        logger.info("%d training rows that the champion has not seen are too few to fit on", len(theirs.target))
    trained = Trial(data, config, seed, length if kept else None).train(store, report)
    instances = unseen.of_cut(trained.model, trained.cut, memory, seed)
    recipe = choose_among(instances, before, memory.pull, memory.serve)
    told = {"length": trained.length, "found": trained.found, "scale": trained.scale, "kept": kept}
    return recipe.model_copy(update=told)


def choose_among(
    fitting: Fitting,
    before: Mapping[str, float] | None = None,
    pull: float = 0.0,
    serve: Literal["best", "stack", "memory"] = "best",
) -> Recipe:
    """Fits weights with the network and without on some users, and takes the simplest that is about as good on others.

    The network stands beside the counts where it gains more than a standard error, and the counts beside the network
    where they do. What the champion has stays unless it loses as much.

    Args:
        fitting: The instances.
        before: Weights of the champion's memory; None without one.
        pull: How strongly weights are drawn to these.
        serve: What to take whatever is found; `best` for what is.
    """
    fitted_on = part_of(fitting.user, unseen.PARTS)
    fit_on, judge_on = fitting.only(fitted_on), fitting.only(~fitted_on)
    found: dict[str, tuple[float, dict[str, float], npt.NDArray[np.float64]]] = {}
    for name, ours, theirs in (
        ("stack", fit_on, judge_on),
        ("memory", fit_on.without_network(), judge_on.without_network()),
    ):
        by_power = []
        for power in POWERS:
            weights = fit(ours, power, before, pull) if before and pull else fit(ours, power)
            by_power.append((power, weights, theirs.reciprocal_ranks(weights)))
        found[name] = max(by_power, key=lambda one: one[2].mean())
    alone = {**dict.fromkeys([POPULARITY, *fitting.names], 0.0), NETWORK: 1.0}
    found["network"] = 0.0, alone, judge_on.reciprocal_ranks(alone)
    gain, error = difference(found["stack"][2], found["memory"][2], judge_on.user)
    bar = -error if before and NETWORK in before else error
    against = found["stack"][1][NETWORK] <= 0  # the network's order, turned round
    chosen: Choice = "stack" if gain > bar and not against else "memory"
    over, over_error = difference(found[chosen][2], found["network"][2], judge_on.user)
    if over <= (-over_error if before else over_error):
        chosen = "network"
    chosen = chosen if serve == "best" else serve
    power, weights, _ = found[chosen]
    return Recipe(
        chosen=chosen,
        configured=serve != "best",
        weights=None if chosen == "network" else weights,
        power=None if chosen == "network" else power,
        mrr={name: float(reciprocal.mean()) for name, (_, _, reciprocal) in found.items()},
        gain=gain,
        standard_error=error,
        instances=len(judge_on.target),
    )


def difference(one: npt.NDArray[np.float64], other: npt.NDArray[np.float64], user: Ints) -> tuple[float, float]:
    """Returns the mean difference of two values [M], and its standard error with users as what is drawn."""
    of = np.unique(user, return_inverse=True)[1]
    values = one - other
    mean = float(values.mean())
    sums = np.bincount(of, values - mean)
    return mean, float(np.sqrt((sums**2).sum()) / len(values))
