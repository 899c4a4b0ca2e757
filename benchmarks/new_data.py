"""What the regulariser's weight costs where the data has moved on: `python -m benchmarks.new_data`, 9 minutes of one core.

On ml-100k's training rows alone: a champion is trained without each user's last two tenths, candidates without the last one, and both
are scored on that last tenth. Test rows are never looked at. Columns: MRR over the champion's and over the candidate's own base model,
rbo between the candidate's and the champion's lists (how much users would see change), and catalogue coverage at 10.
"""

import copy
import tempfile
from pathlib import Path

import numpy as np
import torch

from finest.data.config import Ingest
from finest.data.dataset import Dataset, load, validation
from finest.data.ingest import ingest
from finest.lists.ranklists import RankLists
from finest.lists.take import take
from finest.metrics.accuracy import reciprocal_rank
from finest.metrics.guards import coverage_at
from finest.metrics.lists import rbo
from finest.models.recommender import Recommender
from finest.perturb.variants import Variant
from finest.training import references
from finest.training.checkpoint import Checkpoint
from finest.training.config import Finetune, Pretrain
from finest.training.finetune import tuned
from finest.training.pretrain import describe, pretrained
from finest.training.references import References
from storage import checkpoint_store, resolve, samples

SEEDS = (1, 2)
ALPHAS = (0.3, 1.0, 3.0, 10.0)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        source = resolve(str(samples.fetch("ml-100k")))
        ingest(source.filesystem, source.files, Ingest(), Path(folder) / "data")
        data = load(Path(folder) / "data")
        compare(validation(data, 2), validation(data, 1), Path(folder))


def compare(yesterday: Dataset, today: Dataset, folder: Path) -> None:
    """Prints a row a way to fine-tune."""
    champion = base(yesterday, 0, folder)
    tune(champion, yesterday, 0, references.take(champion, yesterday.training_rows(), 100), Finetune(), folder)
    before = lists(champion, today)
    print(f"champion on the last tenth: MRR {mrr(before):.4f}")
    print(f"{'seed':4} {'reference':9} {'alpha':>5} {'vs champion':>11} {'vs base':>8} {'churn rbo':>9} {'coverage':>8}")
    for seed in SEEDS:
        own = base(today, seed, folder)
        print_row(seed, "no tuning", None, lists(own, today), before, lists(own, today), today)
        kept = {name: references.take(model, today.training_rows(), 100) for name, model in (("base", own), ("champion", champion))}
        settings = [("none", Finetune(regulariser="none"), kept["base"])]
        settings += [(name, Finetune(alpha=alpha), taken) for name, taken in kept.items() for alpha in ALPHAS]
        for name, config, taken in settings:
            model = copy.deepcopy(own)
            tune(model, today, seed, taken, config, folder)
            alpha = config.alpha if config.regulariser != "none" else None
            print_row(seed, name, alpha, lists(model, today), before, lists(own, today), today)


def base(data: Dataset, seed: int, folder: Path) -> Recommender:
    """A base model, trained anew: the two cuts share a fingerprint, so no checkpoint may be found again."""
    with tempfile.TemporaryDirectory(dir=folder) as store:
        return pretrained(
            data, variant(seed), None, Pretrain(), torch.device("cpu"), Checkpoint(checkpoint_store(store), "base"), lambda event: None
        )[0]


def tune(model: Recommender, data: Dataset, seed: int, taken: References, config: Finetune, folder: Path) -> None:
    """Fine-tunes in place."""
    with tempfile.TemporaryDirectory(dir=folder) as store:
        saved = Checkpoint(checkpoint_store(store), "tuned")
        tuned(data, variant(seed), None, model, Pretrain(), config, lambda: taken, saved, lambda event: None)


def variant(seed: int) -> Variant:
    return Variant(name="clean", role="clean", seed=seed)


def lists(model: Recommender, data: Dataset) -> RankLists:
    return take(model, data, describe(data, variant(0), None, "0", Pretrain(), "base", None, None))


def mrr(taken: RankLists) -> float:
    return float(reciprocal_rank(taken.target_rank).mean())


def print_row(seed: int, name: str, alpha: float | None, taken: RankLists, champion: RankLists, own: RankLists, data: Dataset) -> None:
    churn, shown = float(np.mean(rbo(champion.items, taken.items))), coverage_at(taken.items, data.items)
    gain, kept = mrr(taken) / mrr(champion) - 1, mrr(taken) / mrr(own) - 1
    print(f"{seed:4} {name:9} {'' if alpha is None else alpha:>5} {gain:>+11.1%} {kept:>+8.1%} {churn:>9.3f} {shown:>8.1%}", flush=True)


if __name__ == "__main__":
    main()
