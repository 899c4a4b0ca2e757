"""Trained to convergence, ours against RecBole's curve: `python -m benchmarks.bench --only convergence`, 10 minutes.

ml-100k, leave-one-out (benchmarks/leave_one_out.py), the same 943 targets, full ranking. RecBole masks no history of a
sequential model, so ours does not either. Its catalogue is all 1,682 items; ours is the 1,679 of training rows, and a
target outside it counts as not found. Both train in one thread and are validated after every epoch; they stop when a
number of epochs in a row bring no better MRR@10 (RecBole after more than 10, its default, ours after more than 25), and
the best epoch is tested. Time is CPU seconds of all epochs, validation apart. RecBole's are those of the committed
curves, which `make bench-peers` makes anew.
"""

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from benchmarks.leave_one_out import leave_one_out, testing, validating
from benchmarks.peers import RECBOLE_SEED
from benchmarks.row import Row, Spent, in_python, peak_gib, row
from benchmarks.training import PEERS
from benchmarks.validation import CPU, alone, clean
from finest.data.dataset import Dataset, Instances
from finest.metrics.accuracy import ndcg_at, recall_at, reciprocal_rank
from finest.models.config import GRU4RecConfig
from finest.models.recommender import Recommender
from finest.models.registry import build
from finest.ranklists.take import take
from finest.training.checkpoint import Checkpoint
from finest.training.config import Pretrain
from finest.training.device import prepare
from finest.training.facts import describe
from finest.training.pretrain import pretrained
from storage import checkpoint_store

PATIENCE = 25
"""Number of epochs without a better MRR@10 after which ours stops.

An epoch takes two seconds, and over 943 targets the MRR is noisy enough to stop some seeds in their first ten.
"""
RECIPES = {
    "sasrec": Pretrain(epochs=200, weight_decay=0.03, ema_decay=0.998, shifted=True),
    "gru4rec": Pretrain(epochs=200, weight_decay=0.03, shifted=True, model=GRU4RecConfig(num_layers=1, dropout=0.4)),
}
"""Chosen on validation; `python -m benchmarks.convergence --choose` shows what was tried."""
TARGETS = {"sasrec": "<= 0.05", "gru4rec": "<= 0.125"}
"""Bounds of the ratio; MRR@10 and NDCG@10 on the test rows, medians over seeds, must be at least RecBole's too."""
SEEDS = (0, 1, 2)
CURVES = Path(__file__).parent / "peers"
PEER_SEEDS = {"sasrec": (RECBOLE_SEED,), "gru4rec": (RECBOLE_SEED, 2021)}
"""RecBole's own seed, and one more where an hour is enough."""


def rows() -> list[Row]:
    """Measures a row for each model."""
    return [against(model, target) for model, target in TARGETS.items()]


def against(model: str, target: str) -> Row:
    """Measures a model's row: medians over seeds on both sides.

    A training of the peer that has not ended meets no target.
    """
    curves = [json.loads((CURVES / f"{PEERS[model]}-{seed}.json").read_text()) for seed in PEER_SEEDS[model]]
    runs = [in_python("benchmarks.convergence", model, str(seed)) for seed in SEEDS]
    peer = [
        Spent(*(sum(epoch[name] for epoch in curve["epochs"]) for name in ("cpu_seconds", "seconds")))
        for curve in curves
    ]
    ours = [Spent(run["cpu_seconds"], run["seconds"], run["peak_gib"]) for run in runs]
    names = ("mrr@10", "ndcg@10", "recall@10")
    tested, theirs = (
        {name: statistics.median(one["test"][name] for one in side) for name in names} for side in (runs, curves)
    )
    better = all(tested[name] >= theirs[name] for name in ("mrr@10", "ndcg@10"))
    return row(
        f"trained to convergence, leave-one-out, {model} : RecBole's",
        ours,
        peer,
        f"{target}, MRR@10 and NDCG@10 at least RecBole's",
        met=better and all(one["ended"] for one in (*runs, *curves)),
        test={"ours, median": tested, "peer, median": theirs},
        test_of_seeds={"ours": [run["test"] for run in runs], "peer": [curve["test"] for curve in curves]},
        valid_of_seeds={"ours": [run["valid"]["mrr@10"] for run in runs], "peer": [curve["best"] for curve in curves]},
        epochs_of_seeds={
            "ours": [len(run["epochs"]) for run in runs],
            "peer": [len(curve["epochs"]) for curve in curves],
        },
        peer_has_ended=[curve["ended"] for curve in curves],
        peer_written=[curve["written"] for curve in curves],
    )


@dataclass
class Converging:
    """A training that stops by validation, and what is kept of it."""

    data: Dataset
    config: Pretrain
    checkpoint: Checkpoint
    epochs: list[dict[str, Any]] = field(default_factory=list)
    best: dict[str, Tensor] = field(default_factory=dict)
    best_epoch: int = 0

    def on_epoch(self, event: tuple[str, dict[str, Any]]) -> None:
        """Validates the averaged weights that the checkpoint holds.

        Raises:
            Converged: The last PATIENCE epochs brought nothing better.
        """
        began = time.process_time()
        tensors, _ = self.checkpoint.load() or ({}, {})
        weights = {
            name.removeprefix("average/"): tensor for name, tensor in tensors.items() if name.startswith("average/")
        }
        found = metrics(model_of(self.config, self.data, weights), self.data, validating(self.data))
        self.epochs.append({**event[1], **found, "valid_cpu_seconds": time.process_time() - began})
        if found["mrr@10"] >= max(epoch["mrr@10"] for epoch in self.epochs):
            self.best, self.best_epoch = weights, len(self.epochs)
        if len(self.epochs) - self.best_epoch > PATIENCE:
            raise Converged


class Converged(Exception):  # noqa: N818 not an error
    """Training has stopped by validation."""


def converge(data: Dataset, config: Pretrain, seed: int = 0) -> dict[str, Any]:
    """Trains until validation says stop.

    Returns:
        The curve, the best epoch and its test metrics, with the keys of the files in benchmarks/peers.
    """
    with tempfile.TemporaryDirectory() as folder:
        run = Converging(data, config, Checkpoint(checkpoint_store(folder), "checkpoint"))
        try:
            pretrained(data, alone(clean(seed)), config, CPU, run.checkpoint, run.on_epoch)
            ended = False
        except Converged:
            ended = True
    return {
        "best_epoch": run.best_epoch,
        "ended": ended,
        "epochs": run.epochs,
        "valid": run.epochs[run.best_epoch - 1],
        "cpu_seconds": sum(epoch["cpu_seconds"] for epoch in run.epochs),
        "seconds": sum(epoch["seconds"] for epoch in run.epochs),
        "test": metrics(model_of(config, data, run.best), data, testing(data)),
    }


def model_of(config: Pretrain, data: Dataset, weights: dict[str, Tensor]) -> Recommender:
    """Returns a model with these weights."""
    model = build(config.model, data.items)
    model.load_state_dict(weights)
    return model.eval()


def metrics(model: Recommender, data: Dataset, instances: Instances) -> dict[str, float]:
    """Computes means over all instances; a target outside the catalogue counts as not found."""
    description = describe(data, clean(0), None, "0", Pretrain(), "base", None, None)
    rank = take(model, data, description, instances).target_rank
    at_10: dict[str, Callable[[Any], Any]] = {
        "mrr@10": lambda rank: reciprocal_rank(rank) * recall_at(rank, 10),
        "ndcg@10": ndcg_at,
        "recall@10": recall_at,
    }
    return {name: float(values(rank).mean()) for name, values in at_10.items()}


TRIED: dict[str, dict[str, Any]] = {
    "default": {},
    "decay 1": {"weight_decay": 1.0},
    "decay .1": {"weight_decay": 0.1},
    "decay .03": {"weight_decay": 0.03},
    "decay .1, dropout .5": {"weight_decay": 0.1, "model": {"dropout": 0.5}},
    "decay .03, dropout .5": {"weight_decay": 0.03, "model": {"dropout": 0.5}},
    "decay .1, lr 1e-3": {"weight_decay": 0.1, "lr": 1e-3},
    "decay .03, average .998": {"weight_decay": 0.03, "ema_decay": 0.998},
    "decay .03, average .998, shifted": {"weight_decay": 0.03, "ema_decay": 0.998, "shifted": True},
    "a layer, dropout .4, decay .03": {"weight_decay": 0.03, "model": {"num_layers": 1, "dropout": 0.4}},
    "a layer, dropout .4, decay .03, shifted": {
        "weight_decay": 0.03,
        "shifted": True,
        "model": {"num_layers": 1, "dropout": 0.4},
    },
}
"""Changes of the config that were tried on both models; the recipes are among them."""
CHOICES = {"sasrec": {**TRIED, "decay .1, 2 heads": {"weight_decay": 0.1, "model": {"num_heads": 2}}}, "gru4rec": TRIED}
"""Changes that were tried, by model."""


def choose(names: list[str]) -> None:
    """Prints the validation metrics of recipes. Test metrics are never looked at here."""
    data = leave_one_out()
    for model in names or RECIPES:
        for name, change in CHOICES[model].items():
            fixed = {"epochs": 200, **change, "model": {"name": model, **change.get("model", {})}}
            found = converge(data, Pretrain.model_validate(fixed))
            valid = ", ".join(f"{metric} {found['valid'][metric]:.4f}" for metric in ("mrr@10", "ndcg@10", "recall@10"))
            print(
                f"{model:8} {name:40} {valid}, epoch {found['best_epoch']}, {found['cpu_seconds']:.0f} CPU s",
                flush=True,
            )


if __name__ == "__main__":
    prepare(CPU)
    if sys.argv[1] == "--choose":
        choose(sys.argv[2:])
    else:
        print(json.dumps({**converge(leave_one_out(), RECIPES[sys.argv[1]], int(sys.argv[2])), "peak_gib": peak_gib()}))
