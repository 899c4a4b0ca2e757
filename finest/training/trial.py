"""Trains the clean variant on a validation cut, for as long as it improves or as long as is known."""

import hashlib
import json
import math
from dataclasses import dataclass

from finest.data.cuts import validation
from finest.data.dataset import Dataset
from finest.data.epoch import DAY
from finest.models.length import Length
from finest.models.recommender import Recommender
from finest.models.saved import Facts
from finest.perturb.plan import Variant
from finest.training import group
from finest.training.checkpoint import Checkpoint, key
from finest.training.config import Pretrain
from finest.training.device import choose
from finest.training.facts import weight_facts
from finest.training.pretrain import plan_of, pretrained
from finest.training.progress import Report
from finest.training.recipe import Found
from finest.training.stopping import HeldOut, Stopping
from finest.training.store import Store
from finest.training.unit import TrainUnit

ELSEWHERE = {"device", "processes", "replicas", "data_parallel", "memory", "remeasure_nights"}
"""Keys of section `pretrain` that a number of steps does not depend on."""


@dataclass(frozen=True)
class Trained:
    """Holds what a training on a validation cut has come to."""

    model: Recommender
    cut: Dataset
    length: Length
    found: Found | None
    """Where it stopped; None where its length was known."""
    scale: float
    """Number of steps of an epoch of all rows for one of the cut."""


@dataclass(frozen=True)
class Trial:
    """Describes a training on the validation cut."""

    data: Dataset
    config: Pretrain
    """Section `pretrain`."""
    seed: int
    known: Length | None
    """How long it is, where `steps: auto` leaves it open and an earlier night has found it."""

    def train(self, store: Store, report: Report) -> Trained:
        """Trains.

        Args:
            store: Place of the checkpoint.
            report: Told of progress.
        """
        data, config, cut = self.data, self.config, validation(self.data)
        device, watch = choose(config.device), None
        short, whole = steps_of_epoch(cut, config), steps_of_epoch(data, config)
        if config.steps == "auto" and self.known is None:
            # One device, since it is one process that decides when to stop.
            open_ended = {"epochs": config.max_epochs, "steps": None, "data_parallel": 1}
            config = config.model_copy(update=open_ended)
            watch = Stopping(HeldOut(config, cut, self.seed, device), config.patience)
        elif config.epochs is None:
            passes = self.known.epochs if self.known else config.passes(whole)
            config = config.model_copy(update={"steps": max(1, round(passes * short))})
        unit = TrainUnit((Variant(name="calibration", role="clean", seed=self.seed),), (None,), 1, stacked=False)
        patience = config.patience if watch else None
        name = key({"stage": "calibrate", "patience": patience, **weight_facts(cut, unit, config, device)})
        on_event = group.progress(report, math.ceil(config.passes(short)), 1)
        with store.lock(name):
            (model,), _ = pretrained(cut, unit, config, device, Checkpoint(store, name), on_event, watch)
        found = watch.found() if watch else None
        length = self.known
        if length is None:
            passes, newest = found.steps / short if found else config.passes(short), newest_row(data)
            length = Length(steps=0, epochs=passes, measured=newest, settings=digest(self.config)).scaled(whole)
        return Trained(model, cut, length, found, whole / short)


def steps_of_epoch(data: Dataset, config: Pretrain) -> int:
    """Returns the number of optimizer steps of an epoch of pretraining."""
    return plan_of(data.training_rows(), config).batches(config.batch_size)


def newest_row(data: Dataset) -> int:
    """Returns the time of the newest training row, in microseconds since 1970 (UTC): a night's own clock."""
    return int(data.timestamp[data.train].max())


def known_length(facts: Facts, data: Dataset, config: Pretrain) -> Length | None:
    """Returns how long the champion says to train; None where it was found under other settings, or too long ago."""
    length = facts.length
    if length is None or length.settings != digest(config):
        return None
    age = newest_row(data) - length.measured
    return length if age < config.remeasure_nights * DAY else None


def digest(config: Pretrain) -> str:
    """Returns a digest of the settings that a number of steps holds for."""
    settings = config.model_dump(mode="json", exclude=ELSEWHERE)
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]
