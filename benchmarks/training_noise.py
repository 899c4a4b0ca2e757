"""The noise of training beside its estimate from one run: `python -m benchmarks.training_noise SET[=FILE] ...`.

For every data set, SASRec and GRU4Rec by their defaults: one clean training and five that differ from it by rounding,
and a probe of each kind of edit to .1% of the rows. Every clean training has a mean RLS over the probes; their standard
deviation is what the gate's bounds must cover. A run knows two of them, its clean variant and its control `rounding`:
a line says what such pairs estimate, and how often the bounds that follow cover the mean of all six. On training rows,
each user's last tenth held out; without FINEST. About half an hour of one core a set.
"""

import argparse
import json
from itertools import permutations
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

from benchmarks.steps import opened
from benchmarks.validation import CPU, base_model, lists_of, trained_on
from finest.data.cuts import validation
from finest.data.dataset import Dataset
from finest.gate.statistic import CONFIDENCE, Error
from finest.metrics.similarity import rbo
from finest.perturb.config import Scenario
from finest.perturb.edits import draw
from finest.ranklists.schema import RankLists
from finest.training import pretrain
from finest.training.config import Pretrain
from finest.training.device import prepare

TRAININGS = 6
SEED = 0


def measured(data: Dataset, config: Pretrain) -> dict[str, Any]:
    """Trains all variants, and returns the noise of training and how well pairs of trainings tell it."""
    cut = validation(data)
    clean = [lists_of(_again(cut, config, number), cut) for number in range(TRAININGS)]
    kinds = [Scenario(kind=kind) for kind in ("deletion", "replacement", "insertion")]
    probes = [lists_of(trained_on(cut, config, SEED, draw(cut, scenario)), cut) for scenario in kinds]
    rls = np.array([np.mean([_near(one, probe) for probe in probes]) for one in clean])
    pairs = [(one, abs(one - other) / 2**0.5) for one, other in permutations(rls, 2)]
    covered = [abs(one - rls.mean()) <= Error(float(noise), 1).margin(CONFIDENCE) for one, noise in pairs]
    return {
        "rls": [round(float(one), 4) for one in rls],
        "noise": round(float(rls.std(ddof=1)), 4),
        "estimates": [round(float(edge), 4) for edge in np.quantile([noise for _, noise in pairs], [0.05, 0.5, 0.95])],
        "covered": round(float(np.mean(covered)), 3),
        "pairs": len(pairs),
    }


def _again(data: Dataset, config: Pretrain, number: int) -> Any:
    """Trains the clean variant; those after the first with weights that another rounding has moved."""
    if number == 0:
        return base_model(data, config, SEED)
    move = pretrain.add_rounding
    with patch.object(pretrain, "add_rounding", lambda model, seed: move(model, seed + number)):
        return base_model(data, config, SEED, rounding=True)


def _near(one: RankLists, other: RankLists) -> float:
    return float(rbo(one.items, other.items).mean())


def main() -> None:
    """Prints a line for each data set and model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", nargs="+")
    parser.add_argument("--users", type=int)
    parser.add_argument("--models", nargs="+", default=["sasrec", "gru4rec"])
    given = parser.parse_args()
    prepare(CPU)
    for one in given.data:
        data = opened(one, given.users)
        for model in given.models:
            config = Pretrain.model_validate({"model": model, "memory": "off"})
            print(Path(one.partition("=")[0]).name, model, json.dumps(measured(data, config)), flush=True)


if __name__ == "__main__":
    main()
