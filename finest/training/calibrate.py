"""Finds how long models train and what they are served with: trains on a validation cut, fits weights, and chooses.

Nothing that is fitted or chosen here has seen the rows that it is fitted or chosen on, and test rows are never looked
at.
"""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from finest import atomic
from finest.data.dataset import Dataset, Ints
from finest.memory.features import NETWORK, POPULARITY
from finest.memory.fit import fit, part_of
from finest.memory.fitting import Fitting
from finest.models.saved import Facts, read_facts
from finest.training import unseen
from finest.training.config import Pretrain
from finest.training.device import choose
from finest.training.progress import Report
from finest.training.recipe import Choice, Recipe
from finest.training.store import Store
from finest.training.trial import Trial, known_length, steps_of_epoch

POWERS = (0.0, 0.5)
"""Powers q of the loss that weights are fitted by; the better one on the other users is taken."""
CALMEST_FIRST: tuple[Choice, ...] = ("memory", "network", "stack")
"""Ways to serve a model: counts know no seed, and one part is simpler than two. The first that is no more than a
standard error under the best is taken."""
CLEARLY = 2.0
"""Number of standard errors by which the champion's way must be worse than the best before another one is taken, which
moves every user's list. Where two ways are equally good, one leaves the champion's every sixth night, two every
fortieth (docs/choices.md)."""

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
        if champion:
            recipe = recipe.model_copy(
                update={"changed": changes(read_facts(champion), config, data.manifest.exclude_seen)}
            )
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
    before = weights_of(facts, data.manifest.exclude_seen) if facts else None
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


def changes(champion: Facts, config: Pretrain, exclude_seen: bool) -> list[str]:
    """Returns in words which settings decide what is counted, or what of it is used, and are not the champion's."""
    if champion.counting is None or champion.memory is None or config.memory == "off":
        return []
    ours = {**config.memory.counting, "features": sorted(unseen.features_of(config.memory, exclude_seen))}
    theirs = {**champion.counting, "features": sorted(champion.memory.keys() - {NETWORK, POPULARITY})}
    return [
        f"{name} {json.dumps(value)} instead of {json.dumps(theirs.get(name))}"
        for name, value in ours.items()
        if value != theirs.get(name)
    ]


def weights_of(champion: Facts, exclude_seen: bool) -> Mapping[str, float] | None:
    """Returns what a model is served with; None where its lists leave out what others hold, which is another task."""
    return (champion.memory or {NETWORK: 1.0}) if champion.exclude_seen == exclude_seen else None


@dataclass(frozen=True)
class Way:
    """Holds one way to serve a model, and how well it does on users that it was not fitted on."""

    weights: dict[str, float]
    power: float
    """Power of the loss that the weights were fitted by; the better one on these users."""
    reciprocal_ranks: npt.NDArray[np.float64]
    """[M] of their instances."""

    @property
    def mrr(self) -> float:
        """Returns their mean."""
        return float(self.reciprocal_ranks.mean())


def choose_among(
    fitting: Fitting,
    before: Mapping[str, float] | None = None,
    pull: float = 0.0,
    serve: Literal["best", "stack", "memory"] = "best",
) -> Recipe:
    """Fits weights with the network and without on some users, and takes what is about the best on others.

    Args:
        fitting: The instances.
        before: Weights that the champion is served with, NETWORK alone where it has no memory; None without one.
        pull: How strongly weights are drawn to these.
        serve: What to take whatever is found; `best` for what is.
    """
    fitted_on = part_of(fitting.user, unseen.PARTS)
    fit_on, judge_on = fitting.only(fitted_on), fitting.only(~fitted_on)
    found = ways(fit_on, judge_on, before, pull)
    ranks = {name: way.reciprocal_ranks for name, way in found.items()}
    incumbent = kind(before) if before else None
    turned = found["stack"].weights[NETWORK] <= 0  # such a stack would serve the network's order turned round
    able = {name: reciprocal for name, reciprocal in ranks.items() if not (turned and name == "stack")}
    chosen = decided(able, judge_on.user, incumbent) if serve == "best" else serve
    gain, error = difference(ranks["stack"], ranks["memory"], judge_on.user)
    memory_gain, memory_error = difference(ranks["stack"], ranks["network"], judge_on.user)
    return Recipe(
        chosen=chosen,
        configured=serve != "best",
        weights=None if chosen == "network" else found[chosen].weights,
        power=None if chosen == "network" else found[chosen].power,
        mrr={name: way.mrr for name, way in found.items()},
        gain=gain,
        standard_error=error,
        memory_gain=memory_gain,
        memory_standard_error=memory_error,
        incumbent=serve == "best" and chosen == incumbent and found[chosen].mrr < max(found[name].mrr for name in able),
        instances=len(judge_on.target),
    )


def ways(
    fit_on: Fitting, judge_on: Fitting, before: Mapping[str, float] | None = None, pull: float = 0.0
) -> dict[Choice, Way]:
    """Returns the ways that a model can be served, fitted on some instances and measured on others.

    Weights are drawn to the champion's where it is served the same way: those of counts alone are others than those of
    counts beside a network, which says much of it again.
    """
    drawn_way = kind(before) if before else None
    counts_alone = fit_on.without_network(), judge_on.without_network()
    alone = {**dict.fromkeys(fit_on.without_network().weights, 0.0), NETWORK: 1.0}
    return {
        "stack": fitted(fit_on, judge_on, before if drawn_way == "stack" else None, pull),
        "memory": fitted(*counts_alone, before if drawn_way == "memory" else None, pull),
        "network": Way(alone, 0.0, judge_on.reciprocal_ranks(alone)),
    }


def fitted(fit_on: Fitting, judge_on: Fitting, before: Mapping[str, float] | None, pull: float) -> Way:
    """Returns the weights fitted by the power of POWERS that is better on other users, drawn to earlier ones or not."""
    by_power = fit(fit_on, POWERS, before, pull) if before and pull else fit(fit_on, POWERS)
    found = [Way(weights, q, judge_on.reciprocal_ranks(weights)) for q, weights in zip(POWERS, by_power, strict=True)]
    return max(found, key=lambda way: way.mrr)


def kind(weights: Mapping[str, float]) -> Choice:
    """Tells in which way a model of these weights is served.

    >>> [kind(dict.fromkeys(names, 1.0)) for names in (["network"], ["popularity"], ["network", "popularity"])]
    ['network', 'memory', 'stack']
    """
    if NETWORK not in weights:
        return "memory"
    return "stack" if len(weights) > 1 else "network"


def decided(ranks: Mapping[Choice, npt.NDArray[np.float64]], user: Ints, incumbent: Choice | None = None) -> Choice:
    """Returns the way to serve: the champion's unless it clearly loses, else the calmest that is about the best.

    All are compared with the best of them, never one after the other: where counts alone are about as good as both
    together, and no better than the network, both together can still be better than the network.

    Args:
        ranks: Reciprocal ranks [M] of each way, on the same instances.
        user: [M] whose they are.
        incumbent: The way that the champion is served; None without one. It counts where it is among these.
    """
    best = max(ranks, key=lambda name: ranks[name].mean())

    def behind(name: Choice) -> float:
        loss, error = difference(ranks[best], ranks[name], user)
        return loss / error if error else 0.0

    if incumbent is not None and incumbent in ranks and behind(incumbent) <= CLEARLY:
        return incumbent
    return next(name for name in CALMEST_FIRST if name in ranks and behind(name) <= 1)


def difference(one: npt.NDArray[np.float64], other: npt.NDArray[np.float64], user: Ints) -> tuple[float, float]:
    """Returns the mean difference of two values [M], and its standard error with users as what is drawn."""
    of = np.unique(user, return_inverse=True)[1]
    values = one - other
    mean = float(values.mean())
    sums = np.bincount(of, values - mean)
    return mean, float(np.sqrt((sums**2).sum()) / len(values))
