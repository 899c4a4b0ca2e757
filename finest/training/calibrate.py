"""Finds what a model is served with: trains on a validation cut, fits a memory's weights there, and chooses.

Nothing that is fitted or chosen here has seen the rows that it is fitted or chosen on, and test rows are never looked
at.
"""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch

from finest import atomic
from finest.data.cuts import validation
from finest.data.dataset import Dataset, Instances, Ints
from finest.memory.counts import counted
from finest.memory.features import NETWORK, POPULARITY, Floats, Pairs
from finest.memory.fit import Fitting, fit, part_of
from finest.memory.recipe import Choice, Recipe
from finest.memory.registry import FEATURES
from finest.models.ranking import scored
from finest.models.recommender import Recommender
from finest.models.saved import read_facts
from finest.perturb.plan import Variant
from finest.training import group
from finest.training.checkpoint import Checkpoint, key
from finest.training.config import Pretrain
from finest.training.device import choose, prepare
from finest.training.pretrain import pretrained, weight_facts
from finest.training.progress import Report
from finest.training.store import Store
from finest.training.unit import TrainUnit

POWERS = (0.0, 0.5)
"""Powers q of the loss that weights are fitted by; the better one on the other users is taken."""
PARTS = 5
"""Number of parts that users are dealt to: weights are fitted on one, and what is served is chosen on the others."""
SCORES = 2**25
"""Largest number of scores of the instances, 128 MiB: a large catalogue has fewer of them."""

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
        recipe = Recipe(chosen="network")
        if config.memory != "off":
            before = read_facts(champion).memory if champion else None
            recipe = choose_among(
                instances(data, config, seed, store, report), before, config.memory.pull, config.memory.serve
            )
        recipe.write(folder)
    logger.info("%s", recipe.sentence or "no memory is configured: the network is served alone")


def instances(data: Dataset, config: Pretrain, seed: int, store: Store, report: Report) -> Fitting:
    """Trains on the validation cut, and returns its held-out instances with the network's scores and the counts."""
    assert config.memory != "off"
    cut, device = validation(data), choose(config.device)
    unit = TrainUnit((Variant(name="calibration", role="clean", seed=seed),), (None,), 1, stacked=False)
    name = key({"stage": "calibrate", **weight_facts(cut, unit, config, device)})
    on_event = group.progress(report, config.epochs, 1)
    with store.lock(name):
        (model,), _ = pretrained(cut, unit, config, device, Checkpoint(store, name), on_event)
    of = cut.instances()
    chosen = _chosen(cut, of, PARTS * config.memory.instances, seed)
    histories, exclude = cut.histories(of.row[chosen]), cut.manifest.exclude_seen
    return Fitting(
        counted(cut, cut.training_rows(), config.memory),
        histories,
        of.target[chosen],
        of.user[chosen],
        _log_probabilities(model, cut, of.row[chosen]),
        _distinct(histories.row, histories.item) if exclude else None,
        config.memory.features or [one for one in FEATURES if not (exclude and FEATURES[one].repeats)],
    )


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
    fitted_on = part_of(fitting.user, PARTS)
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
    chosen: Choice = "stack" if gain > bar else "memory"
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


def _chosen(cut: Dataset, of: Instances, most: int, seed: int) -> Ints:
    """Returns the numbers of the instances to fit on: those whose target a list can hold, or some of them."""
    able = of.target > 0
    if cut.manifest.exclude_seen:
        histories = cut.histories(of.row)
        seen = np.bincount(histories.row, histories.item == of.target[histories.row], minlength=len(of))
        able &= seen == 0
    number = np.flatnonzero(able)
    most = max(1, min(most, SCORES // cut.items))
    return number if len(number) <= most else np.sort(np.random.default_rng(seed).choice(number, most, replace=False))


@torch.no_grad()
def _log_probabilities(model: Recommender, cut: Dataset, row: Ints) -> Floats:
    prepare(model.embedding.device)
    result = np.empty((len(row), cut.items), np.float32)
    for part, scores_BI in scored(model, lambda part: cut.histories(row[part]), len(row), exclude_seen=False):
        result[part] = scores_BI.log_softmax(1).cpu().numpy()
    return result


def _distinct(history: Ints, item: Ints) -> Pairs:
    pair = np.unique(np.stack([history, item]), axis=1)
    return Pairs(pair[0], pair[1])
