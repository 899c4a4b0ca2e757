"""The FINEST step: a shard's base models, fine-tuned to keep their reference lists' order, and their rank lists."""

import hashlib
import shutil
import tempfile
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from finest import whole
from finest.data.dataset import Dataset
from finest.data.schema import USERS_SCHEMA
from finest.lists import file as list_file
from finest.lists.champion import CUT
from finest.lists.match import match
from finest.lists.take import take
from finest.models.recommender import Recommender
from finest.models.saved import WEIGHTS, SavedModel, load, save
from finest.perturb.edits import Edits, apply, from_table
from finest.perturb.variants import Plan, Variant
from finest.training import checkpoint, references, shard
from finest.training.config import Finetune, Pretrain
from finest.training.device import choose, prepare
from finest.training.loop import Settings, train
from finest.training.objective import RankHinge
from finest.training.pretrain import describe, edits_of, model_facts, weight_facts
from finest.training.progress import Report
from finest.training.references import References
from finest.training.simulate import simulate
from finest.training.store import Store
from finest.training.windows import fill, slots
from finest.training.workers import Job, run

CANDIDATE = "candidate"

CUT_SCHEMA = pa.schema([USERS_SCHEMA.field("user"), USERS_SCHEMA.field("last_train_timestamp")])


def finetune(
    data: Dataset, edits: pa.Table, plan: Plan, shard_id: str, pretrain: Pretrain, config: Finetune, bases: Path, champion: Path | None,
    store: Store, out: Path, report: Report,
) -> None:  # fmt: skip
    """Fine-tunes the shard's variants and writes `out`: base and tuned rank lists, histories, the clean model, `shard.json`.

    `bases`: what `pretrain` wrote. `champion`: the model in production, whose lists are kept where `config.reference` says so; with
    none, or with one that shares too few items with this data, the base's are.
    """
    device = choose(pretrain.device)
    variants = plan.shard(shard_id).variants
    by_scenario = from_table(edits, data)
    facts = shard.read_facts(bases)
    protocols = _protocols(config)
    with whole.folder(out, replace=True) as folder, tempfile.TemporaryDirectory() as scratch:
        shared, reference = _shared_reference(data, config, bases / "models" / variants[0].name, champion, Path(scratch), device)
        jobs: list[Job[shard.Trained]] = [
            partial(
                _tune_variant,
                FinetuneJob(
                    data, variant, edits_of(variant, by_scenario), shard_id, pretrain, config, protocol,
                    shared if protocol == "anchored" else None, bases, store, folder, device,
                ),
            )
            for protocol in protocols
            for variant in variants
        ]  # fmt: skip
        results = run(jobs, device, facts["processes"], shard.progress(report, config.epochs, len(jobs)))
        cost = {name: dict(base) for name, base in facts["cost"].items()}
        histories = {variant.name: shard.read_history(bases, variant.name) for variant in variants}
        trainings = [(protocol, variant) for protocol in protocols for variant in variants]
        for (protocol, variant), result in zip(trainings, results, strict=True):
            for name, seconds in result.cost.items():
                cost[variant.name][name] = cost[variant.name].get(name, 0.0) + seconds
            stage = "finetune" if protocol == protocols[0] else "finetune_independent"
            histories[variant.name] += [{**record, "stage": stage} for record in result.history]
        (folder / "lists" / "base").mkdir(parents=True, exist_ok=True)
        for variant in variants:
            shutil.copyfile(*(place / "lists" / "base" / f"{variant.name}.parquet" for place in (bases, folder)))
            shard.write_history(folder, variant.name, histories[variant.name])
        _write_cut(data, folder / CANDIDATE / CUT)
        shard.write_facts(folder, {**facts, "protocol": config.protocol, "reference": reference, "cost": cost})


@dataclass(frozen=True)
class SharedReference:
    """Reference lists that every variant of a shard keeps, in files that worker processes map; `digest` names the model they are of."""

    lists: Path
    of_row: Path
    digest: str
    source: str

    def open(self) -> References:
        """The lists, mapped (copy on write: torch takes no read-only memory)."""
        return References(np.load(self.lists, mmap_mode="c"), np.load(self.of_row))


@dataclass(frozen=True)
class FinetuneJob:
    """One variant's fine-tuning, complete, as a worker process takes it."""

    data: Dataset
    variant: Variant
    edits: Edits | None
    shard: str
    pretrain: Pretrain
    config: Finetune
    protocol: Literal["anchored", "independent"]
    shared: SharedReference | None
    """None: the variant's own base model gives its lists."""
    bases: Path
    store: Store
    out: Path
    device: torch.device


def _tune_variant(job: FinetuneJob, on_event: Any) -> shard.Trained:
    """Writes one variant's tuned lists, and the candidate where it is clean."""
    prepare(job.device)
    began, cpu_began = time.perf_counter(), time.process_time()
    variant, config = job.variant, job.config
    folder = job.bases / "models" / variant.name
    saved = load(folder, str(job.device))
    digest = job.shared.digest if job.shared else _digest(folder)
    facts = {
        "stage": "finetune",
        "reference": digest if config.regulariser != "none" else None,
        "finetune": config.model_dump(mode="json", exclude={"protocol", "reference"}),
        **weight_facts(job.data, variant, job.edits, job.pretrain, job.device),
    }
    name = checkpoint.key(facts)
    with job.store.lock(name):
        history = tuned(
            job.data, variant, job.edits, saved.model, job.pretrain, config, job.shared.open if job.shared else None,
            checkpoint.Checkpoint(job.store, name), on_event,
        )  # fmt: skip
    trained, cpu_trained = time.perf_counter(), time.process_time()
    stage = "tuned" if job.protocol == _protocols(config)[0] else "independent"
    source = job.shared.source if job.shared else "base"
    lists = take(saved.model, job.data, describe(job.data, variant, job.edits, job.shard, job.pretrain, "tuned", job.protocol, source))
    list_file.write(lists, job.out / "lists" / stage / f"{variant.name}.parquet")
    if stage == "tuned" and variant.name == "clean":
        save(job.out / CANDIDATE, saved.model, model_facts(job.data, variant, job.pretrain, "tuned"), list(job.data.item_ids))
    cost = {
        "finetune_seconds": trained - began,
        "finetune_cpu_seconds": cpu_trained - cpu_began,
        "lists_cpu_seconds": time.process_time() - cpu_trained,
        "finetune_epochs_cpu_seconds": sum(record["cpu_seconds"] for record in history),
    }
    return shard.Trained(history, cost)


def tuned(
    data: Dataset, variant: Variant, edits: Edits | None, model: Recommender, pretrain: Pretrain, config: Finetune, shared: Any,
    saved: checkpoint.Checkpoint, on_event: Any,
) -> list[dict[str, Any]]:  # fmt: skip
    """Fine-tunes `model`, a variant's base model, in place; returns the history."""
    clean = data.training_rows()
    rows = apply(clean, edits) if edits else clean
    slotting = slots(clean, pretrain.model.length)
    hinge = None
    if config.regulariser == "rank_hinge":
        lists = shared() if shared else references.take(model, clean, config.top)
        device = model.embedding.device
        kept = torch.from_numpy(np.ascontiguousarray(lists.lists)).to(device), torch.from_numpy(lists.of_row).to(device)
        hinge = RankHinge(*kept, config.alpha, config.margin)

    def windows(epoch: int) -> Any:
        return fill(simulate(rows, clean, data.item_counts, config.simulated_share, variant.seed, epoch), slotting)

    return train(
        model, slotting, windows, settings(pretrain, config, variant.seed), hinge, saved, lambda record: on_event((variant.name, record))
    )


def settings(pretrain: Pretrain, config: Finetune, seed: int) -> Settings:
    """The fine-tuning stage's settings: a fresh optimizer like pretraining's, its rate falling to zero."""
    return Settings(
        stage="finetune", seed=seed, epochs=config.epochs, batch=pretrain.batch, rate=config.rate, cosine=True, decay=pretrain.decay,
        average=pretrain.average, clip=pretrain.clip, dropout=pretrain.model.dropout, amp=pretrain.amp,
    )  # fmt: skip


def _protocols(config: Finetune) -> list[Literal["anchored", "independent"]]:
    """The protocols to train under; without a regulariser nothing is shared, whatever is configured."""
    if config.regulariser == "none":
        return ["independent"]
    return ["anchored", "independent"] if config.protocol == "both" else [config.protocol]


def _shared_reference(
    data: Dataset, config: Finetune, clean_base: Path, champion: Path | None, scratch: Path, device: torch.device
) -> tuple[SharedReference | None, str]:
    """The lists that an anchored run's variants keep, and the reference's name; none where each variant keeps its own."""
    name = champion_name(champion) if champion and config.reference == "champion" else None
    if "anchored" not in _protocols(config):
        return None, "base"
    prepare(device)
    folder = champion if name and champion else clean_base
    taken = _reference_lists(data, load(folder, str(device)), config.top, matched=name is not None)
    if name and not len(taken.lists):
        name, folder = None, clean_base
        taken = _reference_lists(data, load(folder, str(device)), config.top, matched=False)
    shared = SharedReference(scratch / "lists.npy", scratch / "of_row.npy", _digest(folder), name or "base")
    np.save(shared.lists, taken.lists)
    np.save(shared.of_row, taken.of_row)
    return shared, shared.source


def _reference_lists(data: Dataset, saved: SavedModel, top: int, matched: bool) -> References:
    if not matched:
        return references.take(saved.model, data.training_rows(), top)
    return references.take_matched(saved.model, data.training_rows(), top, match(data.item_ids, saved.item_ids).forward)


def champion_name(champion: Path) -> str:
    """`champion/<version>`, from the file beside the model that says which version it is."""
    return f"champion/{(champion / 'version').read_text().strip()}"


def _digest(model: Path) -> str:
    return hashlib.sha256((model / WEIGHTS).read_bytes()).hexdigest()


def _write_cut(data: Dataset, file: Path) -> None:
    """Each user's last training time: what the model has seen, for judging a later candidate on newer instances."""
    last = np.full(len(data.user_ids), np.iinfo(np.int64).min)
    np.maximum.at(last, data.user[data.train], data.timestamp[data.train])
    trained = np.flatnonzero(last > np.iinfo(np.int64).min)
    pq.write_table(pa.table([data.user_ids[trained].tolist(), last[trained]], schema=CUT_SCHEMA), file)

