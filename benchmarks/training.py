"""Epochs, ours against RecBole's, FINEST's against cross-entropy's, and the cost of checkpoints: 10 minutes.

`python -m benchmarks.bench --only training`; most of the time is RecBole's. `python -m benchmarks.training --profile
sasrec` shows what an epoch of ours is made of. ml-100k, leave-one-out (benchmarks/leave_one_out.py), one thread on each
side. A pass predicts each of the 97,171 training targets once: RecBole from a row of up to 50 inputs for each target,
ours from windows of 50 targets.
"""

import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from benchmarks.leave_one_out import leave_one_out, write_inter
from benchmarks.peers import RECBOLE_SEED, recbole_training
from benchmarks.row import Row, Spent, in_process, in_python, peak_gib, row
from benchmarks.validation import CPU, alone, base_model, clean, fine_tune, ml_100k
from finest.data.dataset import Dataset
from finest.peak import GIB
from finest.training import references
from finest.training.checkpoint import Checkpoint
from finest.training.config import Finetune, Pretrain
from finest.training.pretrain import pretrained
from finest.training.unit import TrainUnit
from storage import checkpoint_store

REPEATS = 3
EPOCHS = 4
"""Number of epochs of a training whose epochs are timed; the first, which warms up, does not count."""
PEERS = {"sasrec": "SASRec", "gru4rec": "GRU4Rec"}
"""RecBole's names of the models."""
WHOLE_TRAININGS = 3


def rows() -> list[Row]:
    """Measures the rows."""
    return [*passes(), finest_epoch(), checkpoints()]


def passes() -> list[Row]:
    """Measures one pass over the training targets.

    RecBole's is one whole epoch, the first: it takes minutes, and all are alike.
    """
    found = []
    for model, target in (("sasrec", ">= 50, peak under 1 GB"), ("gru4rec", ">= 1")):
        before = our_epochs(model)
        peer = recbole_epoch(model)
        ours = [*before, *our_epochs(model)]
        small = max(spent.peak_gib for spent in ours) * GIB < 1e9
        found.append(
            row(f"one pass over ml-100k, {model}, 64, 2 layers, 50 : RecBole's", ours, [peer], target, met=small)
        )
    return found


def our_epochs(model: str) -> list[Spent]:
    """Measures epochs of ours, without the first."""
    told = in_python("benchmarks.training", "--epochs-of", model)
    return [Spent(epoch["cpu_seconds"], epoch["seconds"], told["peak_gib"]) for epoch in told["epochs"][1:]]


def recbole_epoch(model: str) -> Spent:
    """Measures RecBole's epoch, by its own trainer and the settings of the committed curves."""
    with tempfile.TemporaryDirectory() as folder:
        data = write_inter(leave_one_out(), Path(folder))
        command, result = recbole_training(PEERS[model], RECBOLE_SEED, data, Path(folder))
        in_process([*command, "--epochs", "1"], OMP_NUM_THREADS="1")
        curve = json.loads(result.read_text())
        epoch = curve["epochs"][0]
        return Spent(epoch["cpu_seconds"], epoch["seconds"], curve["peak_bytes"] / GIB)


def finest_epoch() -> Row:
    """Measures epochs of fine-tuning with the hinge on 2 x 100 items against epochs of pretraining."""
    told = in_python("benchmarks.training", "--finest-of", "sasrec")
    ours, plain = ([Spent(*pair) for pair in told[name]] for name in ("finest", "cross-entropy"))
    taken = {"reference lists, once, CPU s": told["references"]}
    return row("epoch of FINEST : epoch of cross-entropy, ml-100k, sasrec", ours, plain, "<= 1.25", **taken)


def checkpoints() -> Row:
    """Measures a checkpoint after each of the 12 epochs, and one resume, over the epochs.

    A resume is data, model and checkpoint up to the first batch.
    """
    told = [in_python("benchmarks.training", "--checkpoints-of", "sasrec") for _ in range(WHOLE_TRAININGS)]
    ours, peer = ([Spent(*one[name]) for one in told] for name in ("kept", "trained"))
    return row(
        "checkpoints and a resume : the epochs of a training, ml-100k, sasrec", ours, peer, "<= 0.03", by="wall_s"
    )


def recipe(model: str, **keys: int) -> Pretrain:
    """Returns the default config of pretraining for a model, but for `keys`."""
    return Pretrain.model_validate({"model": {"name": model}, **keys})


def epochs_of(model: str) -> dict[str, Any]:
    """Trains a few epochs; returns them."""
    return {"epochs": history(leave_one_out(), recipe(model, epochs=EPOCHS))}


def history(data: Dataset, config: Pretrain, group: TrainUnit | None = None) -> list[dict[str, Any]]:
    """Returns the epochs of a training from nothing: of the clean variant alone, or of a group's first."""
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = Checkpoint(checkpoint_store(folder), "checkpoint")
        return pretrained(data, group or alone(clean(0)), config, CPU, checkpoint, lambda event: None)[1][0]


def finest_of(model: str) -> dict[str, Any]:
    """Measures epochs of both kinds, taking turns.

    Returns:
        Pairs (CPU s, wall s) of epochs by kind, and the CPU seconds of taking the reference lists.
    """
    data = ml_100k()
    config, tuning = recipe(model, epochs=EPOCHS), Finetune(epochs=EPOCHS)
    tuned, plain, taken = [], [], []
    for _ in range(REPEATS):
        plain += history(data, config)[1:]
        base = base_model(data, config, 0)
        began = time.process_time()
        kept = references.take(base, data.training_rows(), tuning.list_length)
        taken.append(time.process_time() - began)
        tuned += fine_tune(base, data, config, tuning, 0, kept)[1:]
    sides = {"finest": tuned, "cross-entropy": plain}
    pairs = {name: [(epoch["cpu_seconds"], epoch["seconds"]) for epoch in epochs] for name, epochs in sides.items()}
    return {**pairs, "references": statistics.median(taken)}


class Timed(Checkpoint):
    """A checkpoint that knows what keeping it has cost."""

    cpu, wall = 0.0, 0.0

    def save(self, tensors: Any, facts: Any) -> None:
        """Saves, and adds up the seconds."""
        cpu, wall = time.process_time(), time.perf_counter()
        super().save(tensors, facts)
        self.cpu, self.wall = self.cpu + time.process_time() - cpu, self.wall + time.perf_counter() - wall


def checkpoints_of(model: str) -> dict[str, Any]:
    """Measures all checkpoints of a training and resuming it once, and its epochs, as pairs (CPU s, wall s)."""
    data, config = ml_100k(), recipe(model)
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = Timed(checkpoint_store(folder), "checkpoint")
        _, (epochs,) = pretrained(data, alone(clean(0)), config, CPU, checkpoint, lambda event: None)
        cpu, wall = time.process_time(), time.perf_counter()
        # The training is finished: all that is left is to resume.
        pretrained(data, alone(clean(0)), config, CPU, checkpoint, lambda event: None)
        resumed = time.process_time() - cpu, time.perf_counter() - wall
    trained = tuple(sum(epoch[name] for epoch in epochs) for name in ("cpu_seconds", "seconds"))
    return {"kept": (checkpoint.cpu + resumed[0], checkpoint.wall + resumed[1]), "trained": trained}


def profile_of(model: str) -> dict[str, float]:
    """Returns the ten operations with the largest shares of an epoch's CPU time.

    The epoch is one after the first, which warms up.
    """
    data = leave_one_out()
    history(data, recipe(model, epochs=1))
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profiled:
        history(data, recipe(model, epochs=1))
    spent = {event.key: event.self_cpu_time_total for event in profiled.key_averages()}
    largest = sorted(spent, key=lambda name: -spent[name])[:10]
    return {name: round(spent[name] / sum(spent.values()), 3) for name in largest}


if __name__ == "__main__":
    kinds = {
        "--epochs-of": epochs_of,
        "--finest-of": finest_of,
        "--checkpoints-of": checkpoints_of,
        "--profile": profile_of,
    }
    print(json.dumps({**kinds[sys.argv[1]](sys.argv[2]), "peak_gib": peak_gib()}))
