"""Runs the pretraining step: trains a group's variants from random weights to base models with their rank lists."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch

from finest import atomic, sealed
from finest.data.dataset import Dataset, Rows
from finest.errors import FinestError
from finest.keys import numpy_generator, torch_generator
from finest.memory.counts import counted
from finest.memory.features import Memory
from finest.models.recommender import Recommender
from finest.models.registry import MODELS, build
from finest.models.saved import save
from finest.perturb.edits import ScenarioEdits, apply, from_table
from finest.perturb.plan import Plan
from finest.ranklists import file as list_file
from finest.ranklists.schema import Stage
from finest.ranklists.take import take
from finest.training import checkpoint, group, group_folder
from finest.training.config import Pretrain
from finest.training.device import THREADS, choose, hardware, prepare
from finest.training.facts import describe, model_facts, weight_facts
from finest.training.history import write_history
from finest.training.loop import Records, Settings, Watch
from finest.training.losses.registry import LOSSES
from finest.training.progress import Report
from finest.training.recipe import Recipe
from finest.training.replicas.plan import arrange
from finest.training.store import Store
from finest.training.unit import TrainUnit, fit, units_of
from finest.training.windows import WindowPlan, Windows, fill, plan_windows
from finest.training.workers import Event, Job, run

ROUNDING = 1e-7
"""Size of what the rounding control adds to a weight, in its tensor's root mean squares."""


def pretrain(
    data: Dataset,
    edits: pa.Table,
    plan: Plan,
    group_id: str,
    config: Pretrain,
    store: Store,
    out: Path,
    report: Report,
    recipe: Recipe | None = None,
) -> None:
    """Trains the group's variants and writes `out`: models, base rank lists, histories and `group.json`.

    Each variant goes on from its checkpoint in `store` where it has one.

    Args:
        data: The data set.
        edits: Edit table of all scenarios.
        plan: Plan of trainings.
        group_id: Id of the group.
        config: Section `pretrain`.
        store: Place of the checkpoints.
        out: Folder to write.
        report: Told of progress.
        recipe: What all variants are served with; the network alone where not given.
    """
    recipe = recipe or Recipe(chosen="network")
    config = long_enough(config, recipe)
    device = choose(config.device)
    variants = plan.group(group_id).variants
    processes = config.processes or group.default_processes()
    clean = data.training_rows()
    window_plan = plan_of(clean, config)
    trained = settings(config, window_plan)
    prepare(device)
    windows = fill(clean, window_plan, MODELS[config.model.name].timed)
    arrangement = arrange(len(variants), config, trained, data.items, window_plan, windows, device, processes)
    units = units_of(variants, from_table(edits, data), arrangement.units(variants), stacked=arrangement.size > 0)
    workers = processes if config.data_parallel == 1 else 0
    group.announce(variants, device, units, workers)
    with atomic.folder(out, replace=True) as folder:
        jobs: list[Job[list[group.Trained]]] = [
            partial(_train_unit, PretrainJob(data, unit, group_id, config, recipe, name, store, folder, device))
            for unit, name in ((unit, _checkpoint_name(data, unit, config, device)) for unit in units)
        ]
        results = [
            one
            for results in run(jobs, device, workers, group.progress(report, trained.epochs, len(variants)))
            for one in results
        ]
        for variant, result in zip(variants, results, strict=True):
            write_history(folder, variant.name, result.history, {})
        group_folder.write_facts(
            folder,
            {
                "group": group_id,
                "device": device.type,
                "hardware": hardware(device),
                "threads": THREADS,
                "processes": min(workers, len(jobs)) if device.type == "cpu" else 0,
                "replicas": arrangement.facts(),
                "slots": window_plan.by_width(),
                "recipe": recipe.model_dump(mode="json"),
                "cost": {variant.name: result.cost for variant, result in zip(variants, results, strict=True)},
            },
        )
        sealed.seal(folder)


@dataclass(frozen=True)
class PretrainJob:
    """Describes a unit's pretraining in full, as a worker process takes it."""

    data: Dataset
    unit: TrainUnit
    group: str
    config: Pretrain
    recipe: Recipe
    checkpoint: str
    """Name of its checkpoint."""
    store: Store
    out: Path
    device: torch.device


def _checkpoint_name(data: Dataset, unit: TrainUnit, config: Pretrain, device: torch.device) -> str:
    return checkpoint.key({"stage": "pretrain", **weight_facts(data, unit, config, device)})


def _train_unit(job: PretrainJob, on_event: Callable[[Event], None]) -> list[group.Trained]:
    """Writes the models and lists of a unit's own variants."""
    config, clock = job.config, group.Clock()
    with job.store.lock(job.checkpoint):
        saved = checkpoint.Checkpoint(job.store, job.checkpoint)
        models, histories = pretrained(job.data, job.unit, config, job.device, saved, on_event)
    trained = clock.lap()
    results = []
    for variant, edits, model, history in zip(job.unit.own(), job.unit.edits, models, histories, strict=False):
        memory = memory_of(job.data, edits, config, job.recipe)
        save(
            job.out / "models" / variant.name,
            model,
            model_facts(job.data, variant, config, "base", job.recipe.length),
            list(job.data.item_ids),
            memory,
        )
        stages: dict[Stage, Memory | None] = {"base": memory}
        if memory:
            stages["network"] = None
        for stage, counts in stages.items():
            description = describe(job.data, variant, edits, job.group, config, stage, None, None)
            lists = take(model, job.data, description, memory=counts)
            list_file.write(lists, job.out / "lists" / stage / f"{variant.name}.parquet")
        results.append(group.Trained(history, group.cost("pretrain", trained, job.unit.num_own, clock.lap(), history)))
    return results


def memory_of(data: Dataset, edits: ScenarioEdits | None, config: Pretrain, recipe: Recipe) -> Memory | None:
    """Returns the memory of a variant: its own rows are counted, and the weights are those of all."""
    if config.memory == "off" or recipe.weights is None:
        return None
    clean = data.training_rows()
    rows = apply(clean, edits) if edits else clean
    return Memory(counted(data, rows, config.memory, THREADS), recipe.weights)


def pretrained(
    data: Dataset,
    unit: TrainUnit,
    config: Pretrain,
    device: torch.device,
    saved: checkpoint.Checkpoint,
    on_event: Callable[[Event], None],
    watch: Watch | None = None,
) -> tuple[list[Recommender], Records]:
    """Trains the base models of a unit and returns them with its own variants' histories.

    Args:
        data: The data set.
        unit: The variants that train together.
        config: Section `pretrain`, whose length is known.
        device: Device of the training.
        saved: Checkpoint of the training.
        on_event: Told of every finished epoch.
        watch: What may end the training of one variant on one device.
    """
    prepare(device)
    clean = data.training_rows()
    window_plan, moves = plan_of(clean, config), shifts(clean, config)
    models, windows = [], []
    for variant, edits in zip(unit.variants, unit.edits, strict=True):
        model = build(config.model, data.items)
        model.initialise(variant.seed)
        if variant.rounding:
            add_rounding(model, variant.seed)
        models.append(model.to(device))
        rows = apply(clean, edits) if edits else clean
        windows.append(
            partial(shifted, rows, clean, config, variant.seed)
            if moves
            else partial(_always, fill(rows, window_plan, model.timed))
        )
    trained = settings(config, window_plan)
    return models, fit(unit, models, window_plan, windows, trained, None, saved, on_event, watch)


def plan_of(clean: Rows, config: Pretrain) -> WindowPlan:
    """Returns the slots of pretraining's windows; where they are shifted, as many as any offset needs."""
    offset = 0 if shifts(clean, config) else None
    return plan_windows(clean, config.model.max_length, config.bucketed, offset)


def shifts(clean: Rows, config: Pretrain) -> bool:
    """Returns whether windows begin elsewhere in every epoch: as configured, else where a user fills half a window."""
    if config.shifted is not None:
        return config.shifted
    return not config.bucketed and 2 * len(clean) >= config.model.max_length * len(np.unique(clean.user))


def _always(windows: Windows, epoch: int) -> Windows:
    return windows


def shifted(rows: Rows, clean: Rows, config: Pretrain, seed: int, epoch: int) -> Windows:
    """Returns the windows of `rows` in an epoch: all variants of a seed are shifted alike."""
    length = config.model.max_length
    offset = numpy_generator("offset", seed, epoch).integers(length)
    return fill(rows, plan_windows(clean, length, offset=int(offset)), MODELS[config.model.name].timed)


@torch.no_grad()
def add_rounding(model: Recommender, seed: int) -> None:
    """Moves every weight by about what another order of additions would."""
    for name, weight in model.named_parameters():
        noise = torch.empty_like(weight).normal_(generator=torch_generator("rounding", seed, name))
        weight.add_(noise, alpha=ROUNDING * weight.square().mean().sqrt().item())


def long_enough(config: Pretrain, recipe: Recipe) -> Pretrain:
    """Returns the section with the number of steps that the recipe says, where the config leaves it to that."""
    if config.steps != "auto":
        return config
    if recipe.length is None:
        raise FinestError("pretrain.steps is auto, and the recipe of this run has no number of steps: calibrate first")
    return config.model_copy(update={"steps": recipe.length.steps})


def settings(config: Pretrain, window_plan: WindowPlan) -> Settings:
    """Returns the settings of pretraining, of a config whose length is known.

    The learning rate is constant, and the average of the weights stands in for its fall: so every length has the same
    schedule, and one that is found on the way needs no other.
    """
    assert config.steps != "auto"
    return Settings(
        stage="pretrain",
        seed=0,
        epochs=math.ceil(config.passes(window_plan.batches(config.batch_size))),
        batch_size=config.batch_size,
        lr=config.lr,
        cosine=False,
        weight_decay=config.weight_decay,
        ema_decay=config.ema_decay,
        max_grad_norm=config.max_grad_norm,
        dropout=config.model.dropout,
        amp=config.amp,
        parallel=config.data_parallel,
        steps=config.steps,
        loss=LOSSES[config.loss.name](config.loss),
    )
