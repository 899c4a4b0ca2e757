"""`pretrain.steps: auto` beside 12 epochs: `python -m benchmarks.steps NAME=FILE ...`, some minutes a set and model.

The training rows of each data set alone, each user's last tenth of them held out. Both ways train on the rest and are
measured on that tenth, which neither has seen: `auto` finds its number of steps on a further cut of the rest. A line
has the MRR, the CPU seconds of a training, those of the trial that found the length, and what the pretrainings of a run
of seven variants take, trial included, over the same at 12 epochs. FILE is Parquet, CSV or TSV; NAME=FILE:repeats where
lists may hold what a user has seen, and `ml-100k` is fetched. `--users N` draws N users, `--set` is a setting of
`pretrain`.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import yaml

from benchmarks.validation import CPU, base_model, ingested, lists_of, ml_100k, mrr
from finest.data.config import Ingest
from finest.data.cuts import validation
from finest.data.dataset import Dataset
from finest.training.config import EPOCHS, Pretrain
from finest.training.device import prepare
from finest.training.progress import Progress
from finest.training.trial import Trial
from pipeline.config import QUICKSTART, assigned, load
from storage import checkpoint_store

TRAININGS = load(QUICKSTART).perturb.trainings
"""Number of trainings of a run of quickstart.yaml."""
SEED = 1


def opened(given: str, users: int | None) -> Dataset:
    """Returns the data set of NAME=FILE, or of `ml-100k`.

    Args:
        given: What the command line says.
        users: Number of users that are drawn of it; all where not given.
    """
    if given == "ml-100k":
        return ml_100k()
    file, _, repeats = given.partition("=")[2].partition(":")
    config = Ingest.model_validate({"evaluation": {"exclude_seen": not repeats}})
    if users is None:
        return ingested(Path(file), config)
    rows = pq.read_table(file).to_pandas()
    drawn = np.random.default_rng(0).choice(np.sort(rows["user_id"].unique()), users, replace=False)
    with tempfile.TemporaryDirectory() as folder:
        some = Path(folder) / "some.parquet"
        rows[rows["user_id"].isin(drawn)].to_parquet(some)
        return ingested(some, config)


def compared(data: Dataset, settings: dict[str, Any]) -> dict[str, Any]:
    """Trains for 12 epochs and for as long as a further cut says; returns the figures of a line."""
    cut = validation(data)
    fixed = Pretrain.model_validate({**settings, "epochs": EPOCHS})
    auto = Pretrain.model_validate({**settings, "steps": "auto"})
    began = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        found = Trial(cut, auto, SEED, None).train(checkpoint_store(folder), _silent)
    tried = time.process_time() - began
    known = auto.model_copy(update={"steps": found.length.steps})
    short, long = (_trained(cut, config) for config in (fixed, known))
    assert found.found
    return {
        "mrr_12_epochs": short[0],
        "mrr_auto": long[0],
        "steps": found.length.steps,
        "epochs": found.length.epochs,
        "why": found.found.why,
        "cpu_seconds_12_epochs": short[1],
        "cpu_seconds_auto": long[1],
        "cpu_seconds_trial": tried,
        "run_over_12_epochs": (TRAININGS * long[1] + tried) / (TRAININGS * short[1]),
    }


def _trained(cut: Dataset, config: Pretrain) -> tuple[float, float]:
    """Returns the MRR of a training, and its CPU seconds."""
    began = time.process_time()
    model = base_model(cut, config, SEED)
    seconds = time.process_time() - began
    return mrr(lists_of(model, cut)), seconds


def _silent(progress: Progress) -> None:
    return


def main() -> None:
    """Prints a line for each data set."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", nargs="+")
    parser.add_argument("--users", type=int)
    parser.add_argument("--set", action="append", default=[], dest="sets")
    given = parser.parse_args()
    prepare(CPU)
    settings: dict[str, Any] = assigned(given.sets)
    for one in given.data:
        found = compared(opened(one, given.users), settings)
        rounded = {name: round(value, 4) if isinstance(value, float) else value for name, value in found.items()}
        print(one.partition("=")[0], yaml.safe_dump(settings, default_flow_style=True).strip(), json.dumps(rounded))


if __name__ == "__main__":
    main()
