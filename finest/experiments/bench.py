"""Trains what the cells of one seed compare, each training once for all cells, and takes lists of it."""

import json
import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import pyarrow as pa

from finest.data.cuts import validation
from finest.data.dataset import Dataset
from finest.experiments.record import Cost, Given, Of
from finest.keys import key
from finest.memory.config import MemoryConfig
from finest.models.recommender import Recommender
from finest.models.saved import save
from finest.peak import peak_bytes
from finest.perturb.config import Perturb
from finest.perturb.edits import ScenarioEdits, from_table
from finest.perturb.plan import Variant, plan
from finest.ranklists.schema import RankLists
from finest.ranklists.take import take
from finest.training import checkpoint, references
from finest.training.calibrate import find
from finest.training.config import Finetune, Pretrain
from finest.training.device import choose
from finest.training.facts import describe, model_facts, weight_facts
from finest.training.finetune import tuned
from finest.training.group import Clock
from finest.training.pretrain import long_enough, memory_of, pretrained
from finest.training.progress import Progress
from finest.training.recipe import Recipe
from finest.training.regularisers.registry import REGULARISERS
from finest.training.trial import steps_of_epoch
from finest.training.unit import TrainUnit
from finest.training.workers import Event
from finest.tuning.shelf import Shelf

Told = Callable[[str], None]
"""Hears what is at work, in a few words."""
Night = Literal["today", "yesterday"]
"""Whose model is meant: of all rows, or of those without each user's last tenth."""


@dataclass(frozen=True)
class Made:
    """Holds a model and what it took from nothing, by stage."""

    model: Recommender
    parts: tuple[tuple[str, Cost], ...]

    @property
    def cost(self) -> Cost:
        """Returns the cost of all stages."""
        return sum((cost for _, cost in self.parts), Cost())

    def part(self, name: str) -> Cost:
        """Returns the cost of the stages of that name."""
        return sum((cost for stage, cost in self.parts if stage == name), Cost())

    def after(self, before: tuple[tuple[str, Cost], ...]) -> "Made":
        """Returns the same with what came before it."""
        return Made(self.model, (*before, *self.parts))


class Bench:
    """Trains models of one seed on one data set, from checkpoints where these are done.

    A training's cost is what its own epochs took, whichever cell has made it: a cell that finds it done counts it too.
    """

    def __init__(
        self,
        data: Dataset,
        given: Given,
        seed: int,
        shelf: Shelf,
        told: Told,
        keeps: bool = True,
        files: Mapping[str, pa.Table] | None = None,
    ):
        """Makes a bench; nothing is trained yet.

        Args:
            data: The data set.
            given: What the experiment takes from the config.
            seed: Seed of the trainings.
            shelf: Place of the checkpoints.
            told: Hears what is at work.
            keeps: Whether base models of probes stay on the shelf, for other cells.
            files: Of each scenario that is read from a file, by name, its rows.
        """
        self.data, self.given, self.seed, self.shelf, self.told, self.keeps = data, given, seed, shelf, told, keeps
        self.files = files or {}
        self.device = choose(given.pretrain.device)
        self.own: set[str] = set()
        """Checkpoints that no other cell asks for."""
        self._kept: dict[tuple[int, Night], tuple[references.SharedLists, Cost]] = {}
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def sibling(self, given: Given, data: Dataset | None = None) -> "Bench":
        """Returns a bench of another config, or of other data, with the same shelf; it ends with this one."""
        own = Bench(data or self.data, given, self.seed, self.shelf, self.told, self.keeps, self.files)
        own.own = self.own
        return self._stack.enter_context(own)

    @cached_property
    def clean(self) -> Variant:
        """Returns the clean variant."""
        return Variant(name="clean", role="clean", seed=self.seed)

    @cached_property
    def probes(self) -> list[tuple[Variant, ScenarioEdits]]:
        """Returns a probe of each scenario, with its edits. Raises ConfigError where the data has too few rows."""
        config: Perturb = self.given.perturb.model_copy(update={"groups": 1})
        table, planned = plan(self.data, config, self.seed, self.files)
        edits = from_table(table, self.data)
        return [(one, edits[one.name]) for one in planned.groups[0].variants if one.role == "probe"]

    def member(self, variant: Variant, number: int) -> Variant:
        """Returns a variant's double under another seed; number 0 is the variant itself."""
        if not number:
            return variant
        seed = key("training seed", variant.seed, "member", number) % 2**31
        return variant.model_copy(update={"name": f"{variant.name}-seed{number}", "seed": seed})

    @cached_property
    def recipe(self) -> Recipe:
        """Returns how long all train and with which weights counts are added, found on a validation cut.

        Where the config leaves open what is served it is network and counts together, so that every row has both.
        """
        pretrain = self.given.pretrain
        memory = pretrain.memory
        if isinstance(memory, MemoryConfig) and memory.serve == "best":
            pretrain = pretrain.model_copy(update={"memory": memory.model_copy(update={"serve": "stack"})})
        name = checkpoint.key({"variant": "recipe", "seed": self.seed, **self._facts(pretrain)})
        with tempfile.TemporaryDirectory() as folder, self.shelf.lock(name):
            file = Path(folder) / "recipe"
            if self.shelf.noted(name, file):
                return Recipe.model_validate_json(file.read_text())
            recipe = find(self.data, pretrain, self.seed, None, self.shelf, self._heard)
            file.write_text(recipe.model_dump_json())
            self.shelf.note(name, file)
            return recipe

    @cached_property
    def pretrain(self) -> Pretrain:
        """Returns the section `pretrain` with a length that is known."""
        return long_enough(self.given.pretrain, self.recipe)

    @property
    def sorts(self) -> tuple[Of, ...]:
        """Returns whose lists are compared: the network's, and those that are served where anything is counted."""
        return ("network", "served") if self.recipe.weights else ("network",)

    @cached_property
    def passes(self) -> float:
        """Returns the epochs of pretraining."""
        return self.pretrain.passes(steps_of_epoch(self.data, self.pretrain))

    def lasting(self, epochs: float, data: Dataset | None = None, **changes: Any) -> Pretrain:
        """Returns the section `pretrain` with another number of epochs, and other changes."""
        steps = max(1, round(epochs * steps_of_epoch(data or self.data, self.pretrain)))
        return self.pretrain.model_copy(update={"epochs": None, "steps": steps, **changes})

    @cached_property
    def yesterday(self) -> Dataset:
        """Returns the training rows without each user's last tenth: what was known before."""
        return validation(self.data)

    def base(
        self,
        variant: Variant,
        edits: ScenarioEdits | None = None,
        pretrain: Pretrain | None = None,
        yesterday: bool = False,
    ) -> Made:
        """Trains a base model, of the rows of yesterday where asked for; see the class for its cost."""
        pretrain, data = pretrain or self.pretrain, self.yesterday if yesterday else self.data
        unit = TrainUnit((variant,), (edits,), 1, stacked=False)
        stage = {"stage": "pretrain", "rows": "yesterday" if yesterday else "all"}
        name = checkpoint.key({**stage, **weight_facts(data, unit, pretrain, self.device)})
        if variant.role != "clean" and not self.keeps:
            self.own.add(name)
        with self.shelf.lock(name):
            saved = checkpoint.Checkpoint(self.shelf, name)
            (model,), (history,) = pretrained(data, unit, pretrain, self.device, saved, self._on_event)
            return Made(model, (("pretrain", self._cost(name, history)),))

    def before(self) -> Made:
        """Trains yesterday's model, of the clean rows."""
        return self.base(self.clean, None, self.lasting(self.passes, self.yesterday), yesterday=True)

    def tuned(
        self,
        made: Made,
        variant: Variant,
        edits: ScenarioEdits | None,
        finetune: Finetune,
        of: Night = "today",
    ) -> Made:
        """Fine-tunes a model in place.

        Args:
            made: The model.
            variant: Its variant.
            edits: Edits of its training rows.
            finetune: Section `finetune`.
            of: Whether the model is the base model of the variant, or yesterday's. The references, where the
                regulariser needs any, are lists of the clean base model, or of yesterday's.
        """
        unit = TrainUnit((variant,), (edits,), 1, stacked=False)
        facts = {
            "stage": "finetune",
            "of": of,
            "finetune": finetune.model_dump(mode="json", exclude={"reference"}),
            "regulariser_package": checkpoint.package_code(REGULARISERS, finetune.regulariser.name),
            **weight_facts(self.data, unit, self.pretrain, self.device),
        }
        name = checkpoint.key(facts)
        if variant.role != "clean":
            self.own.add(name)
        kept, listed = self.kept(finetune.list_length, of) if finetune.list_length else (None, Cost())
        with self.shelf.lock(name):
            saved = checkpoint.Checkpoint(self.shelf, name)
            (history,) = tuned(self.data, unit, [made.model], self.pretrain, finetune, kept, saved, self._on_event)
            cost = self._cost(name, history)
        return Made(made.model, (*made.parts, ("references", listed), ("finetune", cost)))

    def kept(self, length: int, of: Night) -> tuple[references.SharedLists, Cost]:
        """Returns the lists that every training of the seed is told to keep, and what they took.

        Args:
            length: Items of a list.
            of: Whether they are the clean base model's, or those of yesterday's model.
        """
        if (length, of) not in self._kept:
            scratch = Path(self._stack.enter_context(tempfile.TemporaryDirectory()))
            base = (self.base(self.clean) if of == "today" else self.before()).model
            facts = model_facts(self.data, self.clean, self.pretrain, "base")
            save(scratch / "base", base, facts, list(self.data.item_ids))
            clock = Clock()
            lists = references.share(scratch / "base", False, self.data, length, scratch, self.device)
            assert lists is not None
            wall, cpu = clock.lap()
            self._kept[length, of] = lists, Cost(wall_s=wall, cpu_s=cpu, peak_mb=peak_bytes() / 1e6)
        return self._kept[length, of]

    def lists(
        self, model: Recommender, variant: Variant, edits: ScenarioEdits | None, of: Of, yesterday: bool = False
    ) -> RankLists:
        """Takes a model's lists for the held-out rows, or for what was held out of yesterday's."""
        self.told(f"{variant.name}: lists")
        memory = memory_of(self.data, edits, self.pretrain, self.recipe) if of == "served" else None
        about = describe(self.data, variant, edits, "0", self.pretrain, "tuned", None, None)
        return take(model, self.yesterday if yesterday else self.data, about, memory=memory)

    def forget(self) -> None:
        """Removes the checkpoints that no other cell asks for, once this cell's record is kept."""
        for name in self.own:
            self.shelf.delete(name)

    def _facts(self, pretrain: Pretrain) -> dict[str, Any]:
        manifest = self.data.manifest
        return {
            "data": manifest.fingerprint,
            "exclude_seen": manifest.exclude_seen,
            "pretrain": pretrain.model_dump(mode="json", exclude={"device", "processes", "replicas"}),
            "device": self.device.type,
        }

    def _cost(self, name: str, history: list[dict[str, Any]]) -> Cost:
        """Returns what a training's epochs took, and the memory that the process had when they were trained."""
        with tempfile.TemporaryDirectory() as folder:
            file, note = Path(folder) / "peak", f"{name}.peak"
            if self.shelf.noted(note, file):
                peak = json.loads(file.read_text())
            else:
                peak = peak_bytes() / 1e6
                file.write_text(json.dumps(peak))
                self.shelf.note(note, file)
        wall, cpu = (sum(record[part] for record in history) for part in ("seconds", "cpu_seconds"))
        return Cost(wall_s=wall, cpu_s=cpu, peak_mb=peak)

    def _on_event(self, event: Event) -> None:
        name, record = event
        self.told(f"{name}: {record['stage']} {record['epoch']}")

    def _heard(self, progress: Progress) -> None:
        self.told(f"{progress.variant}: {progress.text}")
