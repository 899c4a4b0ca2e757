"""An epoch, ours against RecBole's; FINEST's epoch against cross-entropy's; what checkpoints cost. 10 minutes, most of them RecBole's.

`python -m benchmarks.bench --only training`; `python -m benchmarks.training --profile sasrec` shows what an epoch of ours is made of.
ml-100k, leave-one-out (benchmarks/leave_one_out.py), one thread on each side. A pass predicts each of the 97,171 training targets once:
RecBole from a row of up to 50 inputs for each target, ours from windows of 50 targets.
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
from benchmarks.row import GIB, Row, Spent, in_process, in_python, peak_gib, row
from benchmarks.validation import CPU, alone, base_model, clean, fine_tune, ml_100k
from finest.data.dataset import Dataset
from finest.models.registry import MODELS
from finest.training import references
from finest.training.checkpoint import Checkpoint
from finest.training.config import Finetune, Pretrain
from finest.training.pretrain import pretrained
from finest.training.unit import TrainUnit
from storage import checkpoint_store

REPEATS = 3
EPOCHS = 4
"""Of a training whose epochs are timed; the first, which warms up, does not count."""
PEERS = {"sasrec": "SASRec", "gru4rec": "GRU4Rec"}
"""RecBole's names."""
WHOLE_TRAININGS = 3


def rows() -> list[Row]:
    return [*passes(), finest_epoch(), checkpoints()]


def passes() -> list[Row]:
    """One pass over the training targets. RecBole's is one whole epoch, the first: it takes minutes, and all are alike."""
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
    told = in_python("benchmarks.training", "--epochs-of", model)
    return [Spent(epoch["cpu_seconds"], epoch["seconds"], told["peak_gib"]) for epoch in told["epochs"][1:]]


def recbole_epoch(model: str) -> Spent:
    """RecBole's epoch, by its own trainer and the settings of the committed curves."""
    with tempfile.TemporaryDirectory() as folder:
        data = write_inter(leave_one_out(), Path(folder))
        command, result = recbole_training(PEERS[model], RECBOLE_SEED, data, Path(folder))
        in_process([*command, "--epochs", "1"], OMP_NUM_THREADS="1")
        curve = json.loads(result.read_text())
        epoch = curve["epochs"][0]
        return Spent(epoch["cpu_seconds"], epoch["seconds"], curve["peak_bytes"] / GIB)


def finest_epoch() -> Row:
    """Epochs of fine-tuning with the hinge on 2 x 100 items, against epochs of pretraining: the default config."""
    told = in_python("benchmarks.training", "--finest-of", "sasrec")
    ours, plain = ([Spent(*pair) for pair in told[name]] for name in ("finest", "cross-entropy"))
    taken = {"reference lists, once, CPU s": told["references"]}
    return row("epoch of FINEST : epoch of cross-entropy, ml-100k, sasrec", ours, plain, "<= 1.25", **taken)


def checkpoints() -> Row:
    """A checkpoint after each of the 12 epochs, and one resume (data, model and checkpoint up to the first batch), over the epochs."""
    told = [in_python("benchmarks.training", "--checkpoints-of", "sasrec") for _ in range(WHOLE_TRAININGS)]
    ours, peer = ([Spent(*one[name]) for one in told] for name in ("kept", "trained"))
    return row(
        "checkpoints and a resume : the epochs of a training, ml-100k, sasrec", ours, peer, "<= 0.03", by="wall_s"
    )


def epochs_of(model: str) -> dict[str, Any]:
    return {"epochs": history(leave_one_out(), Pretrain(epochs=EPOCHS, model=MODELS[model].Config()))}


def history(data: Dataset, config: Pretrain, group: TrainUnit | None = None) -> list[dict[str, Any]]:
    """The epochs of a training from nothing: of the clean variant alone, or of a group's first."""
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = Checkpoint(checkpoint_store(folder), "checkpoint")
        return pretrained(data, group or alone(clean(0)), config, CPU, checkpoint, lambda event: None)[1][0]


def finest_of(model: str) -> dict[str, Any]:
    """Pairs (CPU s, wall s) of epochs of both kinds, taking turns; CPU s of taking the reference lists."""
    data = ml_100k()
    config, tuning = Pretrain(epochs=EPOCHS, model=MODELS[model].Config()), Finetune(epochs=EPOCHS)
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
    """Knows what keeping it has cost."""

    cpu, wall = 0.0, 0.0

    def save(self, tensors: Any, facts: Any) -> None:
        cpu, wall = time.process_time(), time.perf_counter()
        super().save(tensors, facts)
        self.cpu, self.wall = self.cpu + time.process_time() - cpu, self.wall + time.perf_counter() - wall


def checkpoints_of(model: str) -> dict[str, Any]:
    """Pairs (CPU s, wall s): all checkpoints of a training and resuming it once, and its epochs."""
    data, config = ml_100k(), Pretrain(model=MODELS[model].Config())
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = Timed(checkpoint_store(folder), "checkpoint")
        _, (epochs,) = pretrained(data, alone(clean(0)), config, CPU, checkpoint, lambda event: None)
        cpu, wall = time.process_time(), time.perf_counter()
        pretrained(
            data, alone(clean(0)), config, CPU, checkpoint, lambda event: None
        )  # finished: all that is left is to resume
        resumed = time.process_time() - cpu, time.perf_counter() - wall
    trained = tuple(sum(epoch[name] for epoch in epochs) for name in ("cpu_seconds", "seconds"))
    return {"kept": (checkpoint.cpu + resumed[0], checkpoint.wall + resumed[1]), "trained": trained}


def profile_of(model: str) -> dict[str, float]:
    """Shares of an epoch's CPU time by operation, the ten largest; of an epoch after the first, which warms up."""
    data = leave_one_out()
    history(data, Pretrain(epochs=1, model=MODELS[model].Config()))
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profiled:
        history(data, Pretrain(epochs=1, model=MODELS[model].Config()))
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
