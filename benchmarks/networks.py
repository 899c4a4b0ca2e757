"""Networks and losses at equal CPU seconds: `python -m benchmarks.networks [SET=FILE:USERS ...]`, 12 minutes a set.

Every recipe trains on a set's training rows with each user's last tenth held out (finest/data/cuts.py), for as many CPU
seconds as any other, one thread, seed 0, and is validated about ten times on the way; validation costs it nothing. A
row has the best validation MRR until then, the CPU seconds after which it was reached, and the curve. A set is ml-100k,
or a Parquet file with user_id, item_id and timestamp, of its first USERS users where that is given. `--only` takes what
names of recipes begin with.
"""

import argparse
import tempfile
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks.convergence import Converged, model_of
from benchmarks.validation import CPU, alone, clean, ingested, lists_of, ml_100k, mrr
from finest.data.config import Ingest
from finest.data.cuts import validation
from finest.data.dataset import Dataset
from finest.training.checkpoint import Checkpoint
from finest.training.config import Pretrain
from finest.training.device import prepare
from finest.training.pretrain import pretrained
from storage import checkpoint_store

RECIPES: dict[str, dict[str, Any]] = {
    "sasrec, cross-entropy": {"model": "sasrec"},
    "sasrec, sampled softmax": {"model": "sasrec", "loss": "sampled_softmax"},
    "sasrec, gBCE": {"model": "sasrec", "loss": "gbce"},
    "esasrec, cross-entropy": {"model": "esasrec"},
    "esasrec, sampled softmax": {"model": "esasrec", "loss": "sampled_softmax"},
    "hstu, cross-entropy": {"model": "hstu"},
    "tisasrec, cross-entropy": {"model": "tisasrec"},
    "tisasrec without times": {"model": {"name": "tisasrec", "times": False}},
    "lrurec, cross-entropy": {"model": "lrurec"},
    "bert4rec, cross-entropy": {"model": "bert4rec"},
    "gru4rec, cross-entropy": {"model": "gru4rec"},
    "latent cross": {"model": "latent_cross"},
    "lstm, cross-entropy": {"model": "lstm"},
}
"""Changes of the default config; all else is alike."""
SECONDS = 40.0
"""CPU seconds of training for each recipe: on all sets enough for the default to be past its best."""
LOOKS = 12
"""Number of validations in that time."""
EPOCHS = 1000
"""More epochs than anybody trains."""


def curve(data: Dataset, change: dict[str, Any], seconds: float, seed: int = 0) -> list[tuple[float, float]]:
    """Returns CPU seconds of training and validation MRR at every look."""
    config = Pretrain.model_validate({"epochs": EPOCHS, **change})
    looks: list[tuple[float, float]] = []
    spent = 0.0

    def on_epoch(event: tuple[str, dict[str, Any]]) -> None:
        nonlocal spent
        spent += event[1]["cpu_seconds"]
        if spent < seconds * (len(looks) + 1) / LOOKS:
            return
        tensors, _ = checkpoint.load() or ({}, {})
        averages = {name.removeprefix("average/"): one for name, one in tensors.items() if name.startswith("average/")}
        looks.append((spent, mrr(lists_of(model_of(config, data, averages), data))))
        if spent >= seconds:
            raise Converged

    with tempfile.TemporaryDirectory() as folder:
        checkpoint = Checkpoint(checkpoint_store(folder), "checkpoint")
        try:
            pretrained(data, alone(clean(seed)), config, CPU, checkpoint, on_epoch)
        except Converged:
            return looks
    raise AssertionError(f"{EPOCHS} epochs took less than {seconds} s")


def read(file: str, users: int | None) -> Dataset:
    """Returns the data set of a Parquet file; lists may repeat items where a tenth of the rows do."""
    table = pq.read_table(file, columns=["user_id", "item_id", "timestamp"])
    if users:
        some = pc.unique(table["user_id"]).sort()[:users]
        table = table.filter(pc.is_in(table["user_id"], some))
    pairs = table.group_by(["user_id", "item_id"]).aggregate([]).num_rows
    with tempfile.TemporaryDirectory() as folder:
        pq.write_table(table, Path(folder) / "rows.parquet")
        config = Ingest.model_validate({"evaluation": {"exclude_seen": pairs > 0.9 * table.num_rows}})
        return ingested(Path(folder) / "rows.parquet", config)


def main() -> None:
    """Prints a row for each recipe and set as soon as it is there."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("sets", nargs="*", default=["ml-100k"], metavar="SET=FILE:USERS")
    words.add_argument("--only", nargs="+", default=[""], metavar="WORDS")
    given = words.parse_args()
    prepare(CPU)
    print(f"{'set':12} {'recipe':26} {'best MRR':>8} {'at s':>5}  MRR by CPU seconds")
    for argument in given.sets:
        name, _, place = argument.partition("=")
        file, _, users = place.partition(":")
        data = validation(read(file, int(users) if users else None) if file else ml_100k())
        for recipe, change in RECIPES.items():
            if not recipe.startswith(tuple(given.only)):
                continue
            looks = curve(data, change, SECONDS)
            seconds, best = max(looks, key=lambda look: look[1])
            shown = " ".join(f"{second:.0f}:{found:.4f}" for second, found in looks)
            print(f"{name:12} {recipe:26} {best:>8.4f} {seconds:>5.0f}  {shown}", flush=True)


if __name__ == "__main__":
    main()
