"""The noise of training beside its estimate from one run: `python -m benchmarks.training_noise SET[=FILE] ...`.

For every data set, SASRec and GRU4Rec by their defaults: one clean training and eleven that differ from it by rounding,
and a probe of each kind of edit to .1% of the rows. Every clean training has a mean RLS over the probes; their standard
deviation is what the gate's bounds must cover. A run knows two of them, its clean variant and its control `rounding`:
a line says what such pairs estimate, how often the bounds that follow from that alone cover the mean of all trainings,
how far they miss it at most, and what is covered, by chance, in all but 5% of cases where noise is normal; and how
often the verdict's own bounds cover it, which hold the choice of users and the spread between scenarios too. On
training rows, each user's last tenth held out; without FINEST. A quarter of an hour of one core a set.
"""

import argparse
import json
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import numpy.typing as npt

from benchmarks.steps import opened
from benchmarks.validation import CPU, base_model, lists_of, trained_on
from finest.data.cuts import validation
from finest.data.dataset import Dataset
from finest.gate.rls import ByUser, over_scenarios
from finest.gate.statistic import CONFIDENCE, Error, average
from finest.metrics.similarity import rbo
from finest.perturb.config import Scenario
from finest.perturb.edits import draw
from finest.training import pretrain
from finest.training.config import Pretrain
from finest.training.device import prepare

SEED = 0
DRAWS = 20_000
"""Sets of normal trainings that are drawn to say what chance covers."""


def measured(data: Dataset, config: Pretrain, trainings: int) -> dict[str, Any]:
    """Trains all variants, and returns the noise of training and how well pairs of trainings tell it."""
    cut = validation(data)
    clean = [lists_of(_again(cut, config, number), cut) for number in range(trainings)]
    kinds = [Scenario(kind=kind) for kind in ("deletion", "replacement", "insertion")]
    probes = [lists_of(trained_on(cut, config, SEED, draw(cut, scenario)), cut) for scenario in kinds]
    by_user = ByUser(np.unique(clean[0].user, return_inverse=True)[1])
    means = [by_user.means([rbo(one.items, probe.items) for probe in probes]) for one in clean]
    rls = np.array([average(each).value for each in means])
    estimates, outside = _outside(rls)
    of = np.repeat(np.arange(trainings), trainings - 1)  # the first training of each pair
    stated = [over_scenarios(means[one], Error(float(noise), 1)) for one, noise in zip(of, estimates, strict=True)]
    drawn = _outside(np.random.default_rng(SEED).standard_normal((DRAWS, trainings)))[1]
    return {
        "rls": [round(float(one), 4) for one in rls],
        "noise": round(float(rls.std(ddof=1)), 5),
        "estimates": [round(float(edge), 5) for edge in np.quantile(estimates, [0.05, 0.5, 0.95])],
        "covered": round(float(np.mean(outside <= 0)), 3),
        "missed_by": round(max(float(outside.max()), 0.0), 5),
        "stated": round(float(np.mean([each.low <= rls.mean() <= each.high for each in stated])), 3),
        "pairs": outside.size,
        "normal": round(float(np.quantile((drawn <= 0).mean(axis=-1), 0.05)), 3),
    }


def _outside(rls: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Returns what all ordered pairs of trainings estimate, and how far outside of their bounds the mean of all lies.

    Args:
        rls: Means of trainings [..., T].

    Returns:
        Two arrays [..., T (T - 1)]; the second is negative where the bounds of a pair cover the mean.
    """
    others = ~np.eye(rls.shape[-1], dtype=bool)
    estimates = np.abs(rls[..., :, None] - rls[..., None, :])[..., others] / 2**0.5
    away = np.broadcast_to(np.abs(rls - rls.mean(axis=-1, keepdims=True))[..., None], (*rls.shape, rls.shape[-1]))
    return estimates, away[..., others] - Error(1.0, 1).margin(CONFIDENCE) * estimates


def _again(data: Dataset, config: Pretrain, number: int) -> Any:
    """Trains the clean variant; those after the first with weights that another rounding has moved."""
    if number == 0:
        return base_model(data, config, SEED)
    move = pretrain.add_rounding
    with patch.object(pretrain, "add_rounding", lambda model, seed: move(model, seed + number)):
        return base_model(data, config, SEED, rounding=True)


def main() -> None:
    """Prints a line for each data set and model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", nargs="+")
    parser.add_argument("--users", type=int)
    parser.add_argument("--models", nargs="+", default=["sasrec", "gru4rec"])
    parser.add_argument("--trainings", type=int, default=12)
    given = parser.parse_args()
    prepare(CPU)
    for one in given.data:
        data = opened(one, given.users)
        for model in given.models:
            config = Pretrain.model_validate({"model": model, "memory": "off"})
            print(
                Path(one.partition("=")[0]).name, model, json.dumps(measured(data, config, given.trainings)), flush=True
            )


if __name__ == "__main__":
    main()
