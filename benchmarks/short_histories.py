"""Buckets for short histories, their gain and their price: `python -m benchmarks.short_histories`, 10 minutes.

Made-up interactions: 6,000 users with 9 on average (geometric), 3,000 items by Zipf's law; windows of 50. CPU seconds
of an epoch, padded to 50 and in buckets, for a variant alone and for a stack of 4, whose padding is scored too. One
thread, taking turns, medians.

Accuracy: MRR of base models on held-out training rows of ml-100k, whole and with each history cut into some of 11
interactions.
"""

import statistics
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.training import history
from benchmarks.validation import CPU, base_model, clean, ingested, lists_of, ml_100k, mrr
from finest.data.config import Ingest
from finest.data.cuts import split
from finest.data.dataset import Dataset, Ints
from finest.perturb.plan import Variant
from finest.training.config import Pretrain
from finest.training.device import prepare
from finest.training.unit import TrainUnit
from finest.training.windows import plan_windows

USERS, ITEMS, MEAN, STACK = 6_000, 3_000, 9, 4
EPOCHS = 3
"""Number of epochs of a training; the first warms up."""
REPEATS = SEEDS = 3


def main() -> None:
    """Prints the seconds, then the accuracies."""
    prepare(CPU)
    data = short()
    rows = data.training_rows()
    print(f"{len(rows)} training rows; slots by width: {plan_windows(rows, Pretrain().model.max_length).by_width()}")
    variants = [clean(seed) for seed in range(STACK)]
    for name, chosen in (("alone", variants[:1]), (f"a stack of {STACK}", variants)):
        taken: dict[bool, list[float]] = {False: [], True: []}
        for _ in range(REPEATS):
            for bucketed, seconds in taken.items():
                seconds += epochs(data, chosen, Pretrain(epochs=EPOCHS, bucketed=bucketed))
        padded, in_buckets = (statistics.median(taken[kind]) for kind in (False, True))
        faster = f"{padded / in_buckets:.2f} times as fast"
        print(f"{name}: padded {padded:.2f} CPU s a variant, in buckets {in_buckets:.2f}: {faster}", flush=True)
    whole = ml_100k()
    for name, data in (("ml-100k", without_last(whole)), ("ml-100k in short histories", without_last(cut(whole)))):
        for bucketed in (False, True):
            found = [mrr(lists_of(base_model(data, Pretrain(bucketed=bucketed), seed), data)) for seed in range(SEEDS)]
            values = ", ".join(f"{value:.4f}" for value in found)
            print(f"{name}, {'in buckets' if bucketed else 'padded'}: MRR {values}", flush=True)


def epochs(data: Dataset, variants: list[Variant], config: Pretrain) -> list[float]:
    """Returns the CPU seconds of each epoch but the first, which warms up."""
    group = TrainUnit(tuple(variants), (None,) * len(variants), len(variants), stacked=len(variants) > 1)
    return [epoch["cpu_seconds"] for epoch in history(data, config, group)[1:]]


def short() -> Dataset:
    """Makes up a data set of short histories."""
    random = np.random.default_rng(0)
    users = np.repeat(np.arange(USERS), 1 + random.geometric(1 / (MEAN - 1), USERS))
    weight = 1 / np.arange(1, ITEMS + 1)
    item = random.choice(ITEMS, size=len(users), p=weight / weight.sum())
    return made(users, item.astype(str), np.arange(len(users)))


def cut(data: Dataset) -> Dataset:
    """Cuts each history into runs of some 11 interactions, a user each."""
    lengths = 4 + np.random.default_rng(0).geometric(1 / 7, len(data.user))
    fresh = np.zeros(len(data.user), bool)
    for start, end in zip(data.starts, np.append(data.starts[1:], len(data.user)), strict=True):
        ends = start + np.cumsum(lengths[start:end])
        fresh[[start, *ends[ends < end]]] = True
    return made(np.cumsum(fresh), data.target_ids, data.timestamp // 1_000_000)


def made(user: Ints, item: npt.NDArray[Any], at: Ints) -> Dataset:
    """Returns the data set of columns: users and items [N], seconds since 1970 [N]."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "source.parquet")
        pq.write_table(pa.table({"user_id": user.astype(str), "item_id": item.astype(str), "timestamp": at}), source)
        config = Ingest.model_validate({"evaluation": {"exclude_seen": False}, "split": {"fraction": 0.2}})
        return ingested(source, config)


def without_last(data: Dataset) -> Dataset:
    """Returns the training rows, each user's last tenth, and at least one, held out."""
    trained = np.bincount(data.user[data.train], minlength=len(data.user_ids))[data.user]
    return split(data, data.position < trained - np.maximum(trained // 10, 1), data.train)


if __name__ == "__main__":
    main()
