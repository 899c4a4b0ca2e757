"""The cost of a large catalogue: `python -m benchmarks.large_catalogue`, about 15 minutes of one core.

SASRec of 64 hidden units, batches of 32 windows of 50 targets, float32, one thread. First one optimizer step by the
size of the catalogue, the loss once over the scores of the whole batch and once in chunks; then a short training with a
million items: pretraining, rank lists, reference lists, FINEST. Every line is a process of its own that the kernel lets
hold 8 GiB: one that needs more says so. Columns: microseconds of CPU a target, peak memory of the process.
"""

import multiprocessing
import resource
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import torch

from benchmarks.validation import base_model, fine_tune, lists_of
from finest.data.dataset import Dataset
from finest.data.schema import Manifest
from finest.models.config import SASRecConfig
from finest.models.registry import build
from finest.training import references
from finest.training.chunked import catalogue_loss
from finest.training.config import Finetune, Pretrain

GIB = 2**30
MEMORY = 8 * GIB
BATCH, LENGTH = 32, 50
WHOLE = (3_500, 50_000, 100_000, 200_000, 300_000, 400_000, 500_000, 600_000, 700_000)
"""Numbers of items for the loss without chunks; the first that does not fit is the last."""
MILLION = 1_000_000
REPEATS = 3
USERS, HISTORY = 100, 40
"""Number of users of the short training, and of interactions of each."""
Job = Callable[..., dict[str, float]]
"""A function of the number of items that measures microseconds of CPU a target, by part."""


def main() -> None:
    """Prints the table."""
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


def show(name: str, items: int, job: Job, *arguments: bool) -> dict[str, float] | None:
    """Prints a line of the table, or one for each part that the job measured.

    Returns:
        Microseconds of CPU a target by part, or None if the job did not fit.
    """
    # A process each: the peak of memory is a process's.
    with multiprocessing.get_context("spawn").Pool(1, limited) as pool:
        took, peak = pool.apply(measured, (job, items, *arguments))
    parts = {"": "does not fit"} if took is None else {part: f"{value:,.1f}" for part, value in took.items()}
    for part, value in parts.items():
        print(f"{f'{name}{part}':<34} {items:>9,} {value:>12} {peak:>8.2f}", flush=True)
    return took


def limited() -> None:
    """Limits the memory of this process to MEMORY."""
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))


def measured(job: Job, items: int, *arguments: bool) -> tuple[dict[str, float] | None, float]:
    """Runs a job; returns what it took, None if memory was short, and the peak in GB."""
    torch.set_num_threads(1)
    took: dict[str, float] | None = None
    try:
        took = job(items, *arguments)
    except (RuntimeError, MemoryError) as error:
        if "alloc" not in str(error).lower():
            raise
    return took, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def step(items: int, chunked: bool) -> dict[str, float]:
    """Measures one optimizer step: the fastest of some."""
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
    """Measures an epoch of pretraining, the pass that takes reference lists, and an epoch of FINEST."""
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
    """Measures lists of depth 100, with the target's rank and without the history's items."""
    data = dataset(items, 1000, 3)
    model = build(SASRecConfig(max_length=LENGTH), items)
    model.initialise(0)
    began = time.process_time()
    count = len(lists_of(model, data))
    return {"": 1e6 * (time.process_time() - began) / count}


def dataset(items: int, users: int, history: int) -> Dataset:
    """Makes up users of a catalogue most of whose items nobody has chosen.

    Each user's last interaction is held out.
    """
    user, position = np.repeat(np.arange(users), history), np.tile(np.arange(history), users)
    item = np.random.default_rng(0).integers(1, items + 1, len(user))
    names = np.array(["", *map(str, range(1, items + 1))], dtype=object)
    # Of the manifest, only what trainings and rank lists read.
    facts: dict[str, Any] = {"depth": 100, "exclude_seen": True, "fingerprint": f"{items} {users} {history}"}
    manifest = Manifest.model_construct(**facts)
    ids = np.array([*map(str, range(users))], dtype=object)
    return Dataset(
        user, item, np.arange(len(user)), position, position < history - 1, names, ids, names[item], manifest
    )


if __name__ == "__main__":
    main()
