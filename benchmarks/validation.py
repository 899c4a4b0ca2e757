"""The data and the trainings that choices are made on.

Choices are made on ml-100k's training rows, each user's last tenth or two held out. Test rows are never looked at.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from finest.data.config import Ingest
from finest.data.dataset import Dataset, load
from finest.data.ingest import ingest
from finest.metrics.accuracy import reciprocal_rank
from finest.models.recommender import Recommender
from finest.perturb.edits import ScenarioEdits
from finest.perturb.plan import Variant
from finest.ranklists.schema import RankLists
from finest.ranklists.take import take
from finest.training.checkpoint import Checkpoint
from finest.training.config import Finetune, Pretrain
from finest.training.facts import describe
from finest.training.finetune import tuned
from finest.training.pretrain import pretrained
from finest.training.reference_lists import StoredLists
from finest.training.references import ListArrays
from finest.training.unit import TrainUnit
from storage import checkpoint_store, demo_data, resolve

CPU = torch.device("cpu")


def ml_100k() -> Dataset:
    """Returns the whole data set, as quickstart.yaml ingests it."""
    return ingested(demo_data.fetch("ml-100k"), Ingest())


def ingested(file: Path, config: Ingest) -> Dataset:
    """Returns the data set of a file; its folder is not kept."""
    with tempfile.TemporaryDirectory() as folder:
        source = resolve(str(file))
        ingest(source.filesystem, source.files, config, Path(folder) / "data")
        return load(Path(folder) / "data")


def clean(seed: int, rounding: bool = False) -> Variant:
    """Returns a variant without edits: the clean one, or its rounding control."""
    return Variant(
        name="rounding" if rounding else "clean", role="control" if rounding else "clean", seed=seed, rounding=rounding
    )


@dataclass(frozen=True)
class Taken:
    """Reference lists at hand, in the form that fine-tuning takes."""

    arrays: ListArrays

    def open(self, data: Dataset, device: torch.device) -> StoredLists:
        """Returns the lists."""
        return self.arrays.on(device)


def alone(variant: Variant) -> TrainUnit:
    """Returns a unit of one variant without edits that trains by itself."""
    return TrainUnit((variant,), (None,), 1, stacked=False)


def base_model(data: Dataset, config: Pretrain, seed: int, rounding: bool = False) -> Recommender:
    """Pretrains a base model from nothing."""
    with _checkpoint() as checkpoint:
        return pretrained(data, alone(clean(seed, rounding)), config, CPU, checkpoint, lambda event: None)[0][0]


def trained_on(data: Dataset, config: Pretrain, seed: int, edits: ScenarioEdits) -> Recommender:
    """Pretrains a probe's base model: the clean one's, on edited rows."""
    unit = TrainUnit((Variant(name="probe", role="probe", seed=seed, scenario="probe"),), (edits,), 1, stacked=False)
    with _checkpoint() as checkpoint:
        return pretrained(data, unit, config, CPU, checkpoint, lambda event: None)[0][0]


def fine_tune(
    model: Recommender, data: Dataset, pretrain: Pretrain, config: Finetune, seed: int, kept: ListArrays
) -> list[dict[str, Any]]:
    """Fine-tunes in place, towards the lists in `kept`; returns the history."""
    with _checkpoint() as checkpoint:
        kept_by = Taken(kept)
        return tuned(data, alone(clean(seed)), [model], pretrain, config, kept_by, checkpoint, lambda event: None)[0]


def lists_of(model: Recommender, data: Dataset) -> RankLists:
    """Takes rank lists for the held-out tenth."""
    return take(model, data, describe(data, clean(0), None, "0", Pretrain(), "base", None, None))


def mrr(lists: RankLists) -> float:
    """Computes the mean reciprocal rank of the targets."""
    return float(reciprocal_rank(lists.target_rank).mean())


@contextmanager
def _checkpoint() -> Iterator[Checkpoint]:
    # In a folder of its own: the cuts of one data set share a fingerprint, so none may find another's.
    with tempfile.TemporaryDirectory() as folder:
        yield Checkpoint(checkpoint_store(folder), "checkpoint")
