"""Measures a trial: trains it on a validation cut, once as it is and once as a probe, and compares the lists."""

import json
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from finest.data.cuts import validation
from finest.data.dataset import Dataset, Instances
from finest.errors import FinestError, KilledError, OutOfMemoryError, UnavailableError
from finest.keys import key, numpy_generator
from finest.memory.features import Memory
from finest.memory.fit import part_of
from finest.metrics.accuracy import reciprocal_rank
from finest.metrics.similarity import rbo
from finest.models.recommender import Recommender
from finest.models.saved import save
from finest.perturb.config import Drawn
from finest.perturb.edits import ScenarioEdits, draw
from finest.perturb.plan import Variant
from finest.ranklists.schema import RankLists
from finest.ranklists.take import take
from finest.training import checkpoint, unseen
from finest.training.calibrate import choose_among, difference
from finest.training.config import Pretrain
from finest.training.device import choose
from finest.training.facts import describe, model_facts
from finest.training.finetune import tuned
from finest.training.pretrain import memory_of, pretrained
from finest.training.progress import Progress
from finest.training.recipe import Recipe
from finest.training.references import SharedLists, share
from finest.training.trial import Trial as CutTraining
from finest.training.unit import TrainUnit
from finest.training.workers import Event
from finest.tuning.shelf import Shelf
from finest.tuning.space import Pair, Values
from finest.tuning.trial import Trial

FIRST_RUNG = 4
"""Epochs after which a trial is first compared with the others; then after twice as many, and so on."""
RUNGS = "rungs.json"
"""Name of the blob with what a trial's rungs were measured to be."""
INSTANCES = 10_000
"""Largest number of held-out rows that a trial is measured on."""

OnEvent = Callable[[Event], None]


class OutOfTimeError(Exception):
    """The search has no more time; what was trained is in the checkpoints."""


@dataclass(frozen=True)
class Job:
    """Describes a trial in full, as a worker process takes it."""

    data: Dataset
    """Training rows alone."""
    config: Pair
    scenario: Drawn
    """Edits of the probe."""
    seed: int
    number: int
    values: Values
    store: Shelf
    """Place of the trial's checkpoints."""
    bars: Mapping[int, float]
    """MRR by epochs under which the trial is pruned."""
    deadline: float
    """Moment (seconds since 1970) from which on no further epoch is trained."""


def measure(job: Job, on_event: OnEvent) -> Trial | None:
    """Returns what the trial was measured to be; None where there was no time for it."""
    began = time.monotonic()
    try:
        found = _measured(job, on_event)
    except OutOfTimeError:
        return None
    except (UnavailableError, KilledError, OutOfMemoryError):
        raise
    except FinestError as error:  # such as a training that diverges: it is this trial's result
        found = {"state": "failed", "reason": str(error)}
    return Trial(number=job.number, values=job.values, seconds=time.monotonic() - began, **found)


def rungs(epochs: int) -> list[int]:
    """Returns the numbers of epochs after which a trial of so many is compared with others.

    >>> rungs(20), rungs(4)
    ([4, 8, 16], [])
    """
    found, rung = [], FIRST_RUNG
    while rung < epochs:
        found.append(rung)
        rung *= 2
    return found


def _measured(job: Job, on_event: OnEvent) -> dict[str, Any]:
    trainer = _Trainer(job, on_event)
    of = _some(trainer.cut.instances())
    if job.config.finetune.list_length > trainer.cut.items:
        raise FinestError(f"finetune.top_k: lists of {job.config.finetune.list_length} items, of {trainer.cut.items}")
    accuracies = _read(job.store)
    for epochs in rungs(job.config.pretrain.epochs or 0):
        if epochs not in accuracies:  # else it is a later epoch that the checkpoint holds
            lists = trainer.lists(trainer.after(epochs), trainer.clean, None, of, None)
            accuracies[epochs] = float(_reciprocal(lists).mean())
            _write(job.store, accuracies)
        if accuracies[epochs] < job.bars.get(epochs, 0.0):
            why = f"MRR {accuracies[epochs]:.4f} after {epochs} epochs, the others' median is {job.bars[epochs]:.4f}"
            return {"state": "pruned", "rungs": accuracies, "reason": why}
    network, pretrain = trainer.whole()
    recipe, fitted = trainer.recipe(network)
    of = of.only(~np.isin(of.user, fitted))
    ours, probes = trainer.served(network, pretrain, recipe, of)
    mrr, error = difference(_reciprocal(ours), np.zeros(len(of)), of.user)
    return {
        "state": "finished",
        "mrr": mrr,
        "standard_error": error,
        "rbo": float(rbo(ours.items, probes.items).mean()),
        "served": recipe.chosen,
        "rungs": accuracies,
    }


class _Trainer:
    """Trains a trial's variants on the validation cut, each training from its checkpoint on."""

    def __init__(self, job: Job, on_event: OnEvent):
        self.job, self.config = job, job.config
        self.cut = validation(job.data)
        self.clean = Variant(name="clean", role="clean", seed=job.seed)
        self.device = choose(job.config.pretrain.device)

        def heard(event: Event) -> None:
            on_event((f"trial {job.number}", event[1]))
            if time.time() >= job.deadline:
                raise OutOfTimeError

        self.heard = heard

    def base(self, variant: Variant, edits: ScenarioEdits | None, pretrain: Pretrain) -> Recommender:
        """Returns a base model, of a config whose length is known; one of more epochs goes on from one of fewer."""
        unit = TrainUnit((variant,), (edits,), 1, stacked=False)
        saved = checkpoint.Checkpoint(self.job.store, f"{variant.name}-base")
        (model,), _ = pretrained(self.cut, unit, pretrain, self.device, saved, self.heard)
        return model

    def after(self, epochs: int) -> Recommender:
        """Returns the clean base model after so many epochs: the learning rate is constant, so it is on the way."""
        return self.base(self.clean, None, self.config.pretrain.model_copy(update={"epochs": epochs}))

    def whole(self) -> tuple[Recommender, Pretrain]:
        """Returns the clean base model, and the config with the length that it was trained for."""
        pretrain = self.config.pretrain
        if pretrain.steps != "auto":
            return self.base(self.clean, None, pretrain), pretrain

        def report(told: Progress) -> None:
            record = {"stage": told.stage, "epoch": told.epoch, "loss": told.loss, "resumed": told.resumed}
            self.heard((told.variant, record))

        trained = CutTraining(self.job.data, pretrain, self.job.seed, None).train(self.job.store, report)
        assert trained.found is not None
        return trained.model, pretrain.model_copy(update={"steps": trained.found.steps})

    def recipe(self, network: Recommender) -> tuple[Recipe, "np.ndarray[Any, Any]"]:
        """Returns what is served, chosen as `calibrate` does, and the users whose rows its weights were fitted on."""
        memory = self.config.pretrain.memory
        if memory == "off":
            return Recipe(chosen="network"), np.zeros(0, np.int64)
        fitting = unseen.of_cut(network, self.cut, memory, self.job.seed)
        return choose_among(fitting, serve=memory.serve), np.unique(fitting.user[part_of(fitting.user, unseen.PARTS)])

    def served(
        self, network: Recommender, pretrain: Pretrain, recipe: Recipe, of: Instances
    ) -> tuple[RankLists, RankLists]:
        """Returns the served lists, and those of the probe: with other edits, and under another seed."""
        seed = key("training seed", self.job.seed, "tune") % 2**31
        probe = Variant(name="probe", role="probe", scenario=self.job.scenario.name, seed=seed)
        edits = draw(self.cut, self.job.scenario)
        other = network
        if recipe.chosen != "memory":  # counts alone ask no network
            other = self.base(probe, edits, pretrain)
            with tempfile.TemporaryDirectory() as scratch:
                kept = self._kept(network, Path(scratch))
                self._tune(network, self.clean, None, pretrain, kept)
                self._tune(other, probe, edits, pretrain, kept)
        ours, theirs = (memory_of(self.cut, edited, pretrain, recipe) for edited in (None, edits))
        return self.lists(network, self.clean, None, of, ours), self.lists(other, probe, edits, of, theirs)

    def _kept(self, network: Recommender, scratch: Path) -> SharedLists | None:
        """Returns the clean base model's lists, which both variants keep; None where each keeps its own."""
        finetune = self.config.finetune
        if not finetune.list_length or finetune.protocol == "independent":
            return None
        facts = model_facts(self.cut, self.clean, self.config.pretrain, "base")
        save(scratch / "base", network, facts, list(self.cut.item_ids))
        return share(scratch / "base", False, self.cut, finetune.list_length, scratch, self.device)

    def _tune(
        self,
        model: Recommender,
        variant: Variant,
        edits: ScenarioEdits | None,
        pretrain: Pretrain,
        kept: SharedLists | None,
    ) -> None:
        unit = TrainUnit((variant,), (edits,), 1, stacked=False)
        saved = checkpoint.Checkpoint(self.job.store, f"{variant.name}-tuned")
        tuned(self.cut, unit, [model], pretrain, self.config.finetune, kept, saved, self.heard)

    def lists(
        self, model: Recommender, variant: Variant, edits: ScenarioEdits | None, of: Instances, memory: Memory | None
    ) -> RankLists:
        """Takes lists for these instances."""
        about = describe(self.cut, variant, edits, "0", self.config.pretrain, "tuned", None, None)
        return take(model, self.cut, about, of, memory)


def _read(store: Shelf) -> dict[int, float]:
    """Returns the MRR of the rungs that an earlier attempt has passed."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "rungs"
        there = store.noted(RUNGS, file)
        return {int(epochs): mrr for epochs, mrr in json.loads(file.read_text()).items()} if there else {}


def _write(store: Shelf, accuracies: dict[int, float]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "rungs"
        file.write_text(json.dumps(accuracies))
        store.note(RUNGS, file)


def _reciprocal(lists: RankLists) -> "np.ndarray[Any, np.dtype[np.float64]]":
    return reciprocal_rank(lists.target_rank)


def _some(of: Instances) -> Instances:
    """Returns INSTANCES of the instances, drawn once and for all trials alike; all where these are fewer."""
    if len(of) <= INSTANCES:
        return of
    return of.only(np.sort(numpy_generator("tune instances").choice(len(of), INSTANCES, replace=False)))
