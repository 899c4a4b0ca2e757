"""Accuracy, coverage and stability by training recipe: `python -m benchmarks.recipe`, 15 minutes of one core.

On ml-100k's training rows, each user's last tenth held out. Columns: MRR and catalogue coverage at 10, of the base
model and after FINEST; and rbo between the base lists of two seeds (the noise floor), between the base model and its
rounding control, between the base model and the candidate, and between the candidate and its rounding control (the
ceiling; rule `frozen` wants the one before below it).
"""

import time

import numpy as np

from benchmarks.validation import base_model, fine_tune, lists_of, ml_100k, mrr
from finest.data.cuts import validation
from finest.data.dataset import Dataset
from finest.metrics.guards import coverage_at
from finest.metrics.similarity import rbo
from finest.models.config import GRU4RecConfig
from finest.ranklists.schema import RankLists
from finest.training import references
from finest.training.config import Finetune, Pretrain

SEEDS = (1, 2)
RECIPES = {
    "default": Pretrain(),
    "decay 0.1": Pretrain(weight_decay=0.1),
    "decay 0.3": Pretrain(weight_decay=0.3),
    "decay 1": Pretrain(weight_decay=1.0),
    "lr 1e-3": Pretrain(lr=1e-3),
    "20 epochs": Pretrain(epochs=20),
    "gru4rec": Pretrain(model=GRU4RecConfig()),
}


def main() -> None:
    """Prints the table."""
    data = validation(ml_100k())
    rbos = f"{'floor':>6} {'rounding':>8} {'candidate':>9} {'ceiling':>7}"
    print(f"{'recipe':10} {'seed':4} {'MRR':>13} {'coverage':>13} {rbos} {'CPU s':>6}")
    for name, recipe in RECIPES.items():
        row(data, name, recipe)


def row(data: Dataset, name: str, recipe: Pretrain) -> None:
    """Trains a recipe with all seeds and prints a line for each."""
    bases: list[RankLists] = []
    for seed in SEEDS:
        began = time.process_time()
        model = base_model(data, recipe, seed)
        seconds = time.process_time() - began
        rounded = base_model(data, recipe, seed, rounding=True)
        base, base_rounded = lists_of(model, data), lists_of(rounded, data)
        kept = references.take(model, data.training_rows(), Finetune().list_length)
        for one in (model, rounded):
            fine_tune(one, data, recipe, Finetune(), seed, kept)
        tuned, tuned_rounded = lists_of(model, data), lists_of(rounded, data)
        floor = f"{near(bases[0], base):.3f}" if bases else ""
        bases.append(base)
        shown = [coverage_at(lists.items, data.items) for lists in (base, tuned)]
        quality = f"{mrr(base):.4f} {mrr(tuned):.4f} {shown[0]:>6.1%} {shown[1]:>6.1%}"
        rbos = (
            f"{floor:>6} {near(base, base_rounded):>8.3f} {near(base, tuned):>9.3f} {near(tuned, tuned_rounded):>7.3f}"
        )
        print(f"{name:10} {seed:4} {quality} {rbos} {seconds:>6.1f}", flush=True)


def near(first: RankLists, second: RankLists) -> float:
    """Returns the mean rbo of two models' lists."""
    return float(np.mean(rbo(first.items, second.items)))


if __name__ == "__main__":
    main()
