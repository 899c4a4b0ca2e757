"""What keeping the champion's lists buys in stability: `python -m benchmarks.champion_reference`, 9 minutes of one core.

The cut of benchmarks.new_data: a champion without each user's last two tenths of ml-100k's training rows, candidates without the last
one, lists taken on that one. All variants keep the champion's lists. Rows: mean rbo of the candidate with the champion (how little users
see change), with itself under another seed, and with trainings on edited rows (RLS); without fine-tuning and by alpha.
"""

import copy
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.validation import CPU, base_model, fine_tune, lists_of, ml_100k
from finest.data.dataset import Dataset, validation
from finest.lists.ranklists import RankLists
from finest.metrics.lists import rbo
from finest.perturb.config import Perturb
from finest.perturb.edits import Edits, from_table
from finest.perturb.plan import plan
from finest.perturb.variants import Variant
from finest.training import references
from finest.training.checkpoint import Checkpoint
from finest.training.config import Finetune, Pretrain
from finest.training.finetune import tuned
from finest.training.pretrain import edits_of, pretrained
from finest.training.references import References
from storage import checkpoint_store

ALPHAS = (0.3, 1.0)
SEED = 1


def main() -> None:
    data, recipe = ml_100k(), Pretrain()
    yesterday, today = validation(data, 2), validation(data, 1)
    champion = base_model(yesterday, recipe, 0)
    fine_tune(champion, yesterday, recipe, Finetune(), 0, references.take(champion, yesterday.training_rows(), Finetune().top))
    kept = references.take(champion, today.training_rows(), Finetune().top)
    table, trainings = plan(today, Perturb(), SEED)
    edits = from_table(table, today)
    variants = {one.name: one for one in trainings.shards[0].variants if one.name not in ("identity", "rounding")}
    candidate = by_alpha(today, variants.pop("clean"), None, kept)
    print(f"{'candidate against':30} {'untuned':>8} " + " ".join(f"{f'alpha {alpha:g}':>9}" for alpha in ALPHAS))
    print_row("champion", candidate, [lists_of(champion, today)] * len(candidate))
    for name, variant in variants.items():
        print_row(name, candidate, by_alpha(today, variant, edits_of(variant, edits), kept))


def by_alpha(data: Dataset, variant: Variant, edits: Edits | None, kept: References) -> list[RankLists]:
    """Lists of a variant's base model, then of its fine-tuned ones."""
    with tempfile.TemporaryDirectory() as folder:
        store = checkpoint_store(Path(folder))
        base = pretrained(data, variant, edits, Pretrain(), CPU, Checkpoint(store, "base"), lambda event: None)[0]
        models = [base]
        for alpha in ALPHAS:
            models.append(copy.deepcopy(base))
            saved = Checkpoint(store, f"tuned-{alpha}")
            tuned(data, variant, edits, models[-1], Pretrain(), Finetune(alpha=alpha), lambda: kept, saved, lambda event: None)
    return [lists_of(model, data) for model in models]


def print_row(name: str, candidate: list[RankLists], other: list[RankLists]) -> None:
    untuned, *kept = (float(np.mean(rbo(ours.items, theirs.items))) for ours, theirs in zip(candidate, other, strict=True))
    print(f"{name:30} {untuned:8.3f} " + " ".join(f"{value:9.3f}" for value in kept), flush=True)


if __name__ == "__main__":
    main()
