"""What a large catalogue costs: `python -m benchmarks.large_catalogue`, about 15 minutes of one core.

SASRec of 64 hidden units, batches of 32 windows of 50 targets, float32, one thread. First one optimizer step by the size of the catalogue,
the loss once over the scores of the whole batch and once in chunks; then a short training with a million items: pretraining, rank lists,
reference lists, FINEST. Every line is a process of its own that the kernel lets hold 8 GiB: one that needs more says so.
Columns: microseconds of CPU a target, peak memory of the process.
"""

import multiprocessing
import resource
import time
from itertools import pairwise

import numpy as np
import torch

from benchmarks.validation import base_model, fine_tune, lists_of
from finest.data.dataset import Dataset
from finest.data.schema import Manifest
from finest.models.registry import build
from finest.models.sasrec import SASRecConfig
from finest.training import references
from finest.training.chunked import catalogue_loss
from finest.training.config import Finetune, Pretrain

GIB = 2**30
MEMORY = 8 * GIB
BATCH, LENGTH = 32, 50
WHOLE = (3_500, 50_000, 100_000, 200_000, 300_000, 400_000, 500_000, 600_000, 700_000)
"""Items of the loss without chunks, until it does not fit."""
MILLION = 1_000_000
REPEATS = 3
USERS, HISTORY = 100, 40
"""Of the short training."""


def main() -> None:
    print(f"{'':<34} {'items':>9} {'us a target':>12} {'peak GB':>8}", flush=True)
    largest = WHOLE[0]
    for items in WHOLE:
        took = show("step, loss over all scores", items, step, False)
        if took is None:
            break
        largest = items
    for items in (WHOLE[0], largest, MILLION):
        show("step, loss in chunks", items, step, True)
    for name, kind in (("training", training), ("rank lists of 1,000 instances", ranking)):
        show(name, MILLION, kind)


def show(name: str, items: int, job: object, *arguments: object) -> object:
    """Prints a line of the table, or one of each part that the job measured; returns None where it did not fit."""
    # A process each: the peak of memory is a process's.
    with multiprocessing.get_context("spawn").Pool(1, limited) as pool:
        took, peak = pool.apply(measured, (job, items, *arguments))
    for part, microseconds in (took or {"": None}).items():
        value = "does not fit" if microseconds is None else f"{microseconds:,.1f}"
        print(f"{f'{name}{part}':<34} {items:>9,} {value:>12} {peak:>8.2f}", flush=True)
    return took


def limited() -> None:
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))


def measured(job: object, items: int, *arguments: object) -> tuple[dict[str, float] | None, float]:
    """What the job took, None where memory was short, and the peak in GB."""
    torch.set_num_threads(1)
    try:
        took = job(items, *arguments)  # type: ignore[operator]
    except (RuntimeError, MemoryError) as error:
        if "alloc" not in str(error).lower():
            raise
        took = None
    return took, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def step(items: int, chunked: bool) -> dict[str, float]:
    """The fastest of some steps of one training."""
    model = build(SASRecConfig(max_length=LENGTH), items)
    model.initialise(0)
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)
    inputs_BT, targets_BT = torch.randint(1, items + 1, (2, BATCH, LENGTH))
    target_N, ids_N = targets_BT.flatten(), torch.zeros(BATCH * LENGTH, dtype=torch.int64)
    spent = []
    for _ in range(REPEATS):
        began = time.process_time()
        hidden_ND = model.encode(inputs_BT, None).flatten(0, 1)
        terms = catalogue_loss(hidden_ND, model.embedding, model.bias, target_N, ids_N, None, chunked)
        terms[0].backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        spent.append(time.process_time() - began)
    return {"": 1e6 * min(spent) / len(target_N)}


def training(items: int) -> dict[str, float]:
    """An epoch of pretraining, the pass that takes reference lists, an epoch of FINEST."""
    data, recipe, tuning = dataset(items, USERS, HISTORY), Pretrain(epochs=1), Finetune(epochs=1)
    clock = [time.process_time()]
    model = base_model(data, recipe, 0)
    clock.append(time.process_time())
    kept = references.take(model, data.training_rows(), tuning.list_length)
    clock.append(time.process_time())
    fine_tune(model, data, recipe, tuning, 0, kept)
    clock.append(time.process_time())
    spent = [1e6 * (after - before) / len(kept.lists) for before, after in pairwise(clock)]
    return dict(zip((": pretraining epoch", ": reference lists", ": FINEST epoch"), spent, strict=True))


def ranking(items: int) -> dict[str, float]:
    """Lists of depth 100, with the target's rank and without the history's items."""
    data = dataset(items, 1000, 3)
    model = build(SASRecConfig(max_length=LENGTH), items)
    model.initialise(0)
    began = time.process_time()
    count = len(lists_of(model, data))
    return {"": 1e6 * (time.process_time() - began) / count}


def dataset(items: int, users: int, history: int) -> Dataset:
    """Made-up users of a catalogue most of whose items nobody has chosen; each user's last interaction is held out."""
    user, position = np.repeat(np.arange(users), history), np.tile(np.arange(history), users)
    item = np.random.default_rng(0).integers(1, items + 1, len(user))
    names = np.array(["", *map(str, range(1, items + 1))], dtype=object)
    manifest = Manifest.model_construct(depth=100, exclude_seen=True, fingerprint=f"{items} {users} {history}")
    ids = np.array([*map(str, range(users))], dtype=object)
    return Dataset(
        user, item, np.arange(len(user)), position, position < history - 1, names, ids, names[item], manifest
    )


if __name__ == "__main__":
    main()
