"""Instances that a network has not been trained on, with its scores and the counts: what weights are fitted on.

Shapes: N rows, M instances, I items.
"""

from pathlib import Path

import numpy as np
import torch

from finest.data.cuts import split
from finest.data.dataset import Dataset, Ints
from finest.memory.config import MemoryConfig
from finest.memory.counts import counted
from finest.memory.featured import Featured, distinct
from finest.memory.fitting import Fitting
from finest.memory.registry import FEATURES
from finest.memory.seen import Floats, Pairs
from finest.models.recommender import Recommender
from finest.models.saved import load
from finest.ranklists.champion import in_codes_of, later_than_cut
from finest.ranklists.match import match
from finest.training.network_scores import LogProbabilities, log_probabilities

PARTS = 5
"""Number of parts that users are dealt to: weights are fitted on one, and what is served is chosen on the others."""
SCORES = 2**32
"""Largest number of scores of the instances: a catalogue of a million items has some 4,000 of them."""


def of_cut(model: Recommender, cut: Dataset, config: MemoryConfig, seed: int) -> Fitting:
    """Returns the held-out instances of a validation cut, with the scores of a model that was trained on it.

    Args:
        model: The model.
        cut: The validation cut.
        config: Section `pretrain.memory`.
        seed: Decides which instances are taken, where there are many.
    """
    row = _chosen(cut, config, seed, np.ones(cut.items + 1, bool))
    return _fitting(cut, config, row, log_probabilities(model, cut, row))


def of_champion(champion: Path, data: Dataset, config: MemoryConfig, seed: int, device: torch.device) -> Fitting:
    """Returns the training rows that the champion has not seen, with its scores and counts of the rows that it has.

    A target that the champion lacks tells nothing of its scores and is left out. Any other item that it lacks has the
    least of its log-probabilities.

    Args:
        champion: Folder of the model in production, with its cut.
        data: Today's data set.
        config: Section `pretrain.memory`.
        seed: Decides which instances are taken, where there are many.
        device: Where the champion is to score.
    """
    saved = load(champion, str(device))
    cut = split(data, data.train & ~later_than_cut(champion, data), data.train)
    of_ours = match(saved.item_ids, data.item_ids).backward
    row = _chosen(cut, config, seed, of_ours > 0)
    network = log_probabilities(saved.model, in_codes_of(saved, cut), row, of_ours)
    return _fitting(cut, config, row, network)


def _fitting(cut: Dataset, config: MemoryConfig, row: Ints, network: Floats | LogProbabilities) -> Fitting:
    histories, exclude = cut.histories(row), cut.manifest.exclude_seen
    featured = Featured(counted(cut, cut.training_rows(), config), histories, features_of(config, exclude))
    excluded = _distinct(histories.row, histories.item, cut.items) if exclude else None
    return Fitting(featured, cut.item[row], cut.user[row], network, excluded)


def features_of(config: MemoryConfig, exclude_seen: bool) -> list[str]:
    """Returns the names of the features: those configured, or all that apply."""
    return config.features or [name for name in FEATURES if not (exclude_seen and FEATURES[name].repeats)]


def _chosen(cut: Dataset, config: MemoryConfig, seed: int, able: "np.ndarray[tuple[int], np.dtype[np.bool_]]") -> Ints:
    """Returns the rows [M] to fit on: held-out ones whose target a list can hold, or some of them.

    Args:
        cut: The data set.
        config: Section `pretrain.memory`.
        seed: Decides which, where there are many.
        able: [I + 1] which items can be a target.
    """
    of = cut.instances()
    fit = able[of.target] & (of.target > 0)
    if cut.manifest.exclude_seen:
        histories = cut.histories(of.row)
        seen = np.bincount(histories.row, histories.item == of.target[histories.row], minlength=len(of))
        fit &= seen == 0
    number = np.flatnonzero(fit)
    most = max(1, min(PARTS * config.instances, SCORES // cut.items))
    if len(number) > most:
        number = np.sort(np.random.default_rng(seed).choice(number, most, replace=False))
    return of.row[number]


def _distinct(history: Ints, item: Ints, items: int) -> Pairs:
    return Pairs(*np.divmod(distinct(history * (items + 1) + item), items + 1))
