"""Runs the FINEST step: fine-tunes a group's base models to keep reference lists, and takes the tuned rank lists."""

import logging
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal, Protocol

import pyarrow as pa
import torch

from finest import atomic, sealed
from finest.data.dataset import Dataset, Rows
from finest.models.folder import WEIGHTS
from finest.models.recommender import Recommender
from finest.models.saved import load, save
from finest.perturb.edits import apply, from_table
from finest.perturb.plan import Plan
from finest.ranklists import file as list_file
from finest.ranklists.champion import write_cut
from finest.ranklists.take import take
from finest.training import checkpoint, group, group_folder, references
from finest.training.config import Finetune, Pretrain
from finest.training.device import choose, prepare
from finest.training.facts import describe, model_facts, weight_facts
from finest.training.history import read_history, write_history
from finest.training.loop import Records, Settings
from finest.training.objective import Penalty
from finest.training.pretrain import long_enough
from finest.training.pretrain import settings as pretraining
from finest.training.progress import Report
from finest.training.recipe import Recipe
from finest.training.reference_lists import OwnLists, ReferenceLists
from finest.training.regularisers.registry import REGULARISERS
from finest.training.replicas.plan import Arrangement
from finest.training.simulate import simulate
from finest.training.store import Store
from finest.training.unit import TrainUnit, fit, units_of
from finest.training.windows import WindowPlan, Windows, fill, plan_windows
from finest.training.workers import Event, Job, run

logger = logging.getLogger(__name__)


class Openable(Protocol):
    """Opens reference lists in the process that needs them, such as `references.SharedLists`."""

    def open(self, data: Dataset, device: torch.device) -> ReferenceLists:
        """Returns the lists."""


def finetune(
    data: Dataset,
    edits: pa.Table,
    plan: Plan,
    group_id: str,
    pretrain: Pretrain,
    config: Finetune,
    bases: Path,
    champion: Path | None,
    store: Store,
    out: Path,
    report: Report,
) -> None:
    """Fine-tunes the group's variants and writes rank lists, histories, the clean model and `group.json`.

    Where counts are served alone, nothing of the network reaches a list: there is nothing to fine-tune, and the tuned
    models are the base models.

    Args:
        data: The data set.
        edits: Edit table of all scenarios.
        plan: Plan of trainings.
        group_id: Id of the group.
        pretrain: Section `pretrain`, for the model, its batches and the device.
        config: Section `finetune`.
        bases: Folder that `pretrain` wrote.
        champion: Folder of the model in production, whose lists are kept where `config.reference` says so. With none,
            or one that shares too few items with this data, the base's lists are kept.
        store: Place of the checkpoints.
        out: Folder to write.
        report: Told of progress.

    Raises:
        DamagedError: The base models are not what `pretrain` wrote.
    """
    device = choose(pretrain.device)
    variants = plan.group(group_id).variants
    sealed.check(bases)
    facts = group_folder.read_facts(bases)
    recipe = Recipe.model_validate(facts["recipe"])
    pretrain = long_enough(pretrain, recipe)
    arrangement = Arrangement(**facts["replicas"])
    units = units_of(variants, from_table(edits, data), arrangement.units(variants), stacked=arrangement.size > 0)
    protocols, trains = _protocols(config), recipe.chosen != "memory"
    with atomic.folder(out, replace=True) as folder, tempfile.TemporaryDirectory() as scratch:
        shared, reference = None, "base"
        if trains:
            shared, reference = _shared_reference(
                data, config, bases / "models" / variants[0].name, champion, Path(scratch), device
            )
        jobs: list[Job[list[group.Trained]]] = []
        for protocol in protocols:
            kept = shared if protocol == "anchored" else None
            for unit in units:
                models = [bases / "models" / variant.name for variant in unit.variants]
                name = _checkpoint_name(data, unit, pretrain, config, kept, models, device)
                job = FinetuneJob(
                    data, unit, group_id, pretrain, config, protocol, kept, models, trains, name, store, folder, device
                )
                jobs.append(partial(_tune_unit, job))
        if trains:
            group.announce(variants, device, units, facts["processes"])
            logger.info("reference lists are those of %s; protocol %s", reference, " and ".join(protocols))
        else:
            logger.info("counts are served alone, so there is no network to fine-tune")
        on_event = group.progress(report, config.epochs, len(protocols) * len(variants))
        results = [one for results in run(jobs, device, facts["processes"], on_event) for one in results]
        cost = {name: dict(base) for name, base in facts["cost"].items()}
        histories = {variant.name: read_history(bases, variant.name) for variant in variants}
        trainings = [(protocol, variant) for protocol in protocols for variant in variants]
        for (protocol, variant), result in zip(trainings, results, strict=True):
            for name, seconds in result.cost.items():
                cost[variant.name][name] = cost[variant.name].get(name, 0.0) + seconds
            stage = "finetune" if protocol == protocols[0] else "finetune_independent"
            histories[variant.name] += [{**record, "stage": stage} for record in result.history]
        terms = REGULARISERS[config.regulariser.name].terms
        shutil.copytree(bases / "lists", folder / "lists", dirs_exist_ok=True)
        for variant in variants:
            write_history(folder, variant.name, histories[variant.name], terms)
        write_cut(data, folder / group_folder.CANDIDATE)
        group_folder.write_facts(folder, {**facts, "protocol": config.protocol, "reference": reference, "cost": cost})
        sealed.seal(folder)


@dataclass(frozen=True)
class SharedReference:
    """Holds reference lists that every variant of a group keeps."""

    lists: references.SharedLists
    digest: str
    """Digest of the model that the lists are of."""
    source: str
    """Name of that model: `base`, or `champion/<version>`."""


@dataclass(frozen=True)
class FinetuneJob:
    """Describes a unit's fine-tuning in full, as a worker process takes it."""

    data: Dataset
    unit: TrainUnit
    group: str
    pretrain: Pretrain
    config: Finetune
    protocol: Literal["anchored", "independent"]
    shared: SharedReference | None
    """Lists that all variants keep; None where each keeps those of its own base model."""
    bases: list[Path]
    """Base model of each variant."""
    trains: bool
    """Whether there is anything to fine-tune."""
    checkpoint: str
    """Name of its checkpoint."""
    store: Store
    out: Path
    device: torch.device


def _checkpoint_name(
    data: Dataset,
    unit: TrainUnit,
    pretrain: Pretrain,
    config: Finetune,
    shared: SharedReference | None,
    bases: list[Path],
    device: torch.device,
) -> str:
    kept: str | list[str] | None = None
    if config.list_length:
        kept = shared.digest if shared else [_digest(model) for model in bases]
    return checkpoint.key(
        {
            "stage": "finetune",
            "reference": kept,
            "finetune": config.model_dump(mode="json", exclude={"protocol", "reference"}),
            "regulariser_package": checkpoint.package_code(REGULARISERS, config.regulariser.name),
            **weight_facts(data, unit, pretrain, device),
        }
    )


def _tune_unit(job: FinetuneJob, on_event: Callable[[Event], None]) -> list[group.Trained]:
    """Writes the tuned lists of a unit's own variants, and the candidate where one is clean."""
    prepare(job.device)
    clock, config, unit = group.Clock(), job.config, job.unit
    bases = [load(folder, str(job.device)) for folder in job.bases]
    models = [base.model for base in bases]
    histories: Records = [[] for _ in unit.own()]
    if job.trains:
        with job.store.lock(job.checkpoint):
            histories = tuned(
                job.data,
                unit,
                models,
                job.pretrain,
                config,
                job.shared.lists if job.shared else None,
                checkpoint.Checkpoint(job.store, job.checkpoint),
                on_event,
            )
    trained = clock.lap()
    stage = "tuned" if job.protocol == _protocols(config)[0] else "independent"
    source = job.shared.source if job.shared else "base"
    results = []
    for variant, edits, base, history in zip(unit.own(), unit.edits, bases, histories, strict=False):
        description = describe(job.data, variant, edits, job.group, job.pretrain, "tuned", job.protocol, source)
        lists = take(base.model, job.data, description, memory=base.memory)
        list_file.write(lists, job.out / "lists" / stage / f"{variant.name}.parquet")
        if stage == "tuned" and variant.name == "clean":
            save(
                job.out / group_folder.CANDIDATE,
                base.model,
                model_facts(job.data, variant, job.pretrain, "tuned", base.facts.length),
                list(job.data.item_ids),
                base.memory,
            )
        results.append(group.Trained(history, group.cost("finetune", trained, unit.num_own, clock.lap(), history)))
    return results


def tuned(
    data: Dataset,
    unit: TrainUnit,
    models: list[Recommender],
    pretrain: Pretrain,
    config: Finetune,
    shared: Openable | None,
    saved: checkpoint.Checkpoint,
    on_event: Callable[[Event], None],
) -> Records:
    """Fine-tunes `models`, the unit's base models, in place, and returns its own variants' histories.

    Args:
        data: The data set.
        unit: The variants that train together.
        models: Base model of each variant.
        pretrain: Section `pretrain`.
        config: Section `finetune`.
        shared: Reference lists that all keep; None: each keeps those of its own base model.
        saved: Checkpoint of the training.
        on_event: Told of every finished epoch.
    """
    clean = data.training_rows()
    window_plan = plan_windows(clean, pretrain.model.max_length, pretrain.bucketed)
    penalty = _penalty(data, models, config, shared) if config.list_length else None
    every = []
    for variant, edits in zip(unit.variants, unit.edits, strict=True):
        rows = apply(clean, edits) if edits else clean
        simulated = partial(simulate, rows, clean, data.item_counts, config.simulated_share, variant.seed)
        every.append(partial(_simulated, simulated, window_plan, models[0].timed))
    return fit(unit, models, window_plan, every, settings(pretrain, config, window_plan), penalty, saved, on_event)


def _simulated(simulated: Callable[[int], Rows], window_plan: WindowPlan, timed: bool, epoch: int) -> Windows:
    return fill(simulated(epoch), window_plan, timed)


def _penalty(data: Dataset, models: list[Recommender], config: Finetune, shared: Openable | None) -> Penalty:
    regulariser = REGULARISERS[config.regulariser.name](config.regulariser)
    if shared:
        return Penalty(regulariser, shared.open(data, models[0].embedding.device), config.alpha)
    own = [references.own(model, data.training_rows(), config.list_length) for model in models]
    return Penalty(regulariser, own[0] if len(own) == 1 else OwnLists(own), config.alpha)


def settings(pretrain: Pretrain, config: Finetune, window_plan: WindowPlan) -> Settings:
    """Returns the settings of fine-tuning: a fresh optimizer like pretraining's, its learning rate falling to zero."""
    like = pretraining(pretrain, window_plan)
    return replace(like, stage="finetune", epochs=config.epochs, steps=None, lr=config.lr, cosine=True)


def _protocols(config: Finetune) -> list[Literal["anchored", "independent"]]:
    """Returns the protocols to train under; without a regulariser nothing is shared, whatever is configured."""
    if not config.list_length:
        return ["independent"]
    return ["anchored", "independent"] if config.protocol == "both" else [config.protocol]


def _shared_reference(
    data: Dataset, config: Finetune, clean_base: Path, champion: Path | None, scratch: Path, device: torch.device
) -> tuple[SharedReference | None, str]:
    """Returns the lists that an anchored run's variants keep, and their model's name.

    There are none where each variant keeps its own.
    """
    name = champion_name(champion) if champion and config.reference == "champion" else None
    if "anchored" not in _protocols(config):
        return None, "base"
    prepare(device)
    length = config.list_length
    lists = references.share(champion, True, data, length, scratch, device) if name and champion else None
    if lists is None:
        name, lists = None, references.share(clean_base, False, data, length, scratch, device)
    assert lists is not None
    return SharedReference(lists, _digest(lists.model), name or "base"), name or "base"


def champion_name(champion: Path) -> str:
    """Returns `champion/<version>`, from the file beside the model that says which version it is."""
    return f"champion/{(champion / 'version').read_text().strip()}"


def _digest(model: Path) -> str:
    return sealed.sha256(model / WEIGHTS)
