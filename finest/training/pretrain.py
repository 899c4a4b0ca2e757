"""The pretraining step: a shard's variants from random weights to base models and their rank lists."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import torch

from finest import whole
from finest.data.dataset import Dataset
from finest.keys import torch_generator
from finest.lists import file as list_file
from finest.lists.build import describe_catalogue
from finest.lists.ranklists import Description, Stage
from finest.lists.take import take
from finest.models.build import build
from finest.models.recommender import Recommender
from finest.models.saved import Facts, save
from finest.perturb.edits import Edits, apply, from_table
from finest.perturb.variants import Plan, Variant
from finest.training import checkpoint, shard
from finest.training.config import Pretrain
from finest.training.device import THREADS, choose, hardware, prepare
from finest.training.loop import Settings, train
from finest.training.progress import Report
from finest.training.store import Store
from finest.training.windows import fill, slots
from finest.training.workers import Event, Job, run

ROUNDING = 1e-7
"""What the rounding control adds to a weight, in its tensor's root mean squares."""


def pretrain(data: Dataset, edits: pa.Table, plan: Plan, shard_id: str, config: Pretrain, store: Store, out: Path, report: Report) -> None:
    """Trains the shard's variants and writes `out`: models, base rank lists, histories and `shard.json`.

    Each variant goes on from its checkpoint in `store` where it has one.
    """
    device = choose(config.device)
    variants = plan.shard(shard_id).variants
    processes = config.processes or shard.default_processes()
    by_scenario = from_table(edits, data)
    with whole.folder(out, replace=True) as folder:
        jobs: list[Job[shard.Trained]] = [
            partial(_train_variant, PretrainJob(data, variant, edits_of(variant, by_scenario), shard_id, config, store, folder, device))
            for variant in variants
        ]
        results = run(jobs, device, processes, shard.progress(report, config.epochs, len(variants)))
        for variant, result in zip(variants, results, strict=True):
            shard.write_history(folder, variant.name, result.history)
        shard.write_facts(
            folder,
            {
                "shard": shard_id,
                "device": device.type,
                "hardware": hardware(device),
                "threads": THREADS,
                "processes": min(processes, len(variants)) if device.type == "cpu" else 1,
                "cost": {variant.name: result.cost for variant, result in zip(variants, results, strict=True)},
            },
        )


@dataclass(frozen=True)
class PretrainJob:
    """One variant's pretraining, complete, as a worker process takes it."""

    data: Dataset
    variant: Variant
    edits: Edits | None
    shard: str
    config: Pretrain
    store: Store
    out: Path
    device: torch.device


def edits_of(variant: Variant, by_scenario: dict[str, Edits]) -> Edits | None:
    """What is edited in a variant's training rows."""
    return by_scenario[variant.scenario] if variant.scenario else None


def _train_variant(job: PretrainJob, on_event: Callable[[Event], None]) -> shard.Trained:
    """Writes one variant's model and lists."""
    config, variant = job.config, job.variant
    began, cpu_began = time.perf_counter(), time.process_time()
    name = checkpoint.key({"stage": "pretrain", **weight_facts(job.data, variant, job.edits, config, job.device)})
    with job.store.lock(name):
        model, history = pretrained(
            job.data, variant, job.edits, config, job.device, checkpoint.Checkpoint(job.store, name), on_event
        )
    trained, cpu_trained = time.perf_counter(), time.process_time()
    save(job.out / "models" / variant.name, model, model_facts(job.data, variant, config, "base"), list(job.data.item_ids))
    lists = take(model, job.data, describe(job.data, variant, job.edits, job.shard, config, "base", None, None))
    list_file.write(lists, job.out / "lists" / "base" / f"{variant.name}.parquet")
    cost = {
        "pretrain_seconds": trained - began,
        "pretrain_cpu_seconds": cpu_trained - cpu_began,
        "lists_cpu_seconds": time.process_time() - cpu_trained,
        "pretrain_epochs_cpu_seconds": sum(record["cpu_seconds"] for record in history),
    }
    return shard.Trained(history, cost)


def pretrained(
    data: Dataset,
    variant: Variant,
    edits: Edits | None,
    config: Pretrain,
    device: torch.device,
    saved: checkpoint.Checkpoint,
    on_event: Callable[[Event], None],
) -> tuple[Recommender, list[dict[str, Any]]]:
    """A variant's base model and its history."""
    prepare(device)
    clean = data.training_rows()
    rows = apply(clean, edits) if edits else clean
    model = build(config.model, data.items)
    model.initialise(variant.seed)
    if variant.rounding:
        add_rounding(model, variant.seed)
    model.to(device)
    slotting = slots(clean, config.model.length)
    windows = fill(rows, slotting)
    history = train(
        model, slotting, lambda epoch: windows, settings(config, variant.seed), None, saved, lambda record: on_event((variant.name, record))
    )
    return model, history


@torch.no_grad()
def add_rounding(model: Recommender, seed: int) -> None:
    """Moves every weight by about what another order of additions would."""
    for name, weight in model.named_parameters():
        noise = torch.empty_like(weight).normal_(generator=torch_generator("rounding", seed, name))
        weight.add_(noise, alpha=ROUNDING * weight.square().mean().sqrt().item())


def settings(config: Pretrain, seed: int) -> Settings:
    """The pretraining stage's settings."""
    return Settings(
        stage="pretrain", seed=seed, epochs=config.epochs, batch=config.batch, rate=config.rate, cosine=False, decay=config.decay,
        average=config.average, clip=config.clip, dropout=config.model.dropout, amp=config.amp,
    )  # fmt: skip


def weight_facts(data: Dataset, variant: Variant, edits: Edits | None, config: Pretrain, device: torch.device) -> dict[str, Any]:
    """Everything besides code that decides a base model's weights, and the variant's name, which no two may share."""
    return {
        "variant": variant.name,
        "data": data.manifest.fingerprint,
        "seed": variant.seed,
        "rounding": variant.rounding,
        "edits": [edits.kind, edits.row.tolist(), edits.item.tolist()] if edits else None,
        "pretrain": config.model_dump(mode="json", exclude={"device", "processes"}),
        "device": hardware(device) if device.type == "cuda" else device.type,
        "threads": THREADS,
    }


def model_facts(data: Dataset, variant: Variant, config: Pretrain, stage: str) -> Facts:
    """What is saved beside a variant's weights."""
    manifest = data.manifest
    return Facts(
        model=config.model, seed=variant.seed, data_fingerprint=manifest.fingerprint, depth=manifest.depth,
        exclude_seen=manifest.exclude_seen, stage=stage,
    )  # fmt: skip


def describe(
    data: Dataset,
    variant: Variant,
    edits: Edits | None,
    shard_id: str,
    config: Pretrain,
    stage: Stage,
    protocol: Literal["anchored", "independent"] | None,
    reference: str | None,
) -> Description:
    """The description of a variant's rank lists."""
    return Description(
        catalogue=describe_catalogue(data.item_ids), model=config.model.name, role=variant.role, stage=stage, shard=shard_id,
        scenario=variant.scenario or (variant.name if variant.role == "control" else None), depth=data.manifest.depth,
        exclude_seen=data.manifest.exclude_seen, seed=variant.seed, protocol=protocol, reference=reference,
        data_fingerprint=data.manifest.fingerprint, extra={"kind": edits.kind, "edits": len(edits)} if edits else {},
    )  # fmt: skip
