"""The price of keeping lists if the data has moved on: `python -m benchmarks.new_data`, 9 minutes of one core.

A champion is trained without each user's last two tenths of ml-100k's training rows, candidates without the last one,
and both are scored on that last tenth. Columns: MRR over the champion's and over the candidate's own base model, rbo
between the candidate's and the champion's lists (how little users see change), and catalogue coverage at 10.
"""

import copy

import numpy as np

from benchmarks.validation import base_model, fine_tune, lists_of, ml_100k, mrr
from finest.data.cuts import validation
from finest.data.dataset import Dataset
from finest.metrics.guards import coverage_at
from finest.metrics.similarity import rbo
from finest.ranklists.schema import RankLists
from finest.training import references
from finest.training.config import Finetune, Pretrain

SEEDS = (1, 2)
ALPHAS = (0.3, 1.0, 3.0, 10.0)


def main() -> None:
    """Prints the table."""
    data, recipe, defaults = ml_100k(), Pretrain(), Finetune()
    yesterday, today = validation(data, 2), validation(data, 1)
    champion = base_model(yesterday, recipe, 0)
    own_lists = references.take(champion, yesterday.training_rows(), defaults.list_length)
    fine_tune(champion, yesterday, recipe, defaults, 0, own_lists)
    before = lists_of(champion, today)
    print(f"champion on the last tenth: MRR {mrr(before):.4f}")
    print(f"{'seed':4} {'reference':9} {'alpha':>5} {'vs champion':>11} {'vs base':>8} {'rbo':>6} {'coverage':>8}")
    for seed in SEEDS:
        own = base_model(today, recipe, seed)
        base = lists_of(own, today)
        print_row(seed, "untuned", "", base, before, base, today)
        models = {"base": own, "champion": champion}
        kept = {
            name: references.take(model, today.training_rows(), defaults.list_length) for name, model in models.items()
        }
        ways = [("none", "", Finetune(regulariser="none"), kept["base"])]
        ways += [(name, f"{alpha:g}", Finetune(alpha=alpha), taken) for name, taken in kept.items() for alpha in ALPHAS]
        for name, alpha_text, config, taken in ways:
            model = copy.deepcopy(own)
            fine_tune(model, today, recipe, config, seed, taken)
            print_row(seed, name, alpha_text, lists_of(model, today), before, base, today)


def print_row(
    seed: int, name: str, alpha: str, lists: RankLists, champion: RankLists, base: RankLists, data: Dataset
) -> None:
    """Prints a line: lists against those of the champion and of the base model."""
    gain, kept = mrr(lists) / mrr(champion) - 1, mrr(lists) / mrr(base) - 1
    near = float(np.mean(rbo(champion.items, lists.items)))
    shown = coverage_at(lists.items, data.items)
    print(f"{seed:4} {name:9} {alpha:>5} {gain:>+11.1%} {kept:>+8.1%} {near:>6.3f} {shown:>8.1%}", flush=True)


if __name__ == "__main__":
    main()
