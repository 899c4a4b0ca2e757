"""What is said of a variant's training: in its checkpoint's name, beside its weights, and in its rank lists."""

from typing import Any, Literal

import torch

from finest.data.dataset import Dataset
from finest.models.length import Length
from finest.models.registry import MODELS
from finest.models.saved import Facts
from finest.perturb.edits import Edits, ScenarioEdits
from finest.perturb.plan import Variant
from finest.perturb.registry import EDITS
from finest.ranklists.schema import Description, Stage, describe_catalogue
from finest.training import checkpoint
from finest.training.config import Pretrain
from finest.training.device import THREADS, hardware
from finest.training.losses.registry import LOSSES
from finest.training.unit import TrainUnit

UNCHANGING = {"device", "processes", "replicas", "memory", "patience", "max_epochs", "remeasure_nights"}
"""Keys of section `pretrain` that change no weight of a training whose length is known."""


def weight_facts(data: Dataset, unit: TrainUnit, config: Pretrain, device: torch.device) -> dict[str, Any]:
    """Returns everything besides code that decides base models' weights.

    The variants' names are in it, so that no two trainings share a checkpoint.
    """
    variants = [
        {
            "variant": variant.name,
            "seed": variant.seed,
            "rounding": variant.rounding,
            "edits": [_edits(of) for of in edits] if edits else None,
        }
        for variant, edits in zip(unit.variants, unit.edits, strict=True)
    ]
    return {
        "variant": f"stack-{unit.variants[0].name}" if unit.stacked else unit.variants[0].name,
        "variants": variants,
        "stacked": unit.stacked,
        "data": data.manifest.fingerprint,
        "pretrain": config.model_dump(mode="json", exclude=UNCHANGING),
        "packages": _other_packages(config, unit),
        "device": hardware(device) if device.type == "cuda" else device.type,
        "threads": THREADS,
    }


def _edits(of: Edits) -> list[Any]:
    return [of.kind, of.row.tolist(), of.item.tolist(), None if of.timestamp is None else of.timestamp.tolist()]


def _other_packages(config: Pretrain, unit: TrainUnit) -> list[str]:
    """Returns what is known of the code of every other package whose model, loss or edits a training uses."""
    used = [checkpoint.package_code(MODELS, config.model.name), checkpoint.package_code(LOSSES, config.loss.name)]
    used += [checkpoint.package_code(EDITS, of.kind) for edits in unit.edits for of in edits or ()]
    return sorted({*filter(None, used)})


def model_facts(data: Dataset, variant: Variant, config: Pretrain, stage: str, length: Length | None = None) -> Facts:
    """Returns what is saved beside a variant's weights."""
    manifest = data.manifest
    return Facts(
        model=config.model,
        seed=variant.seed,
        data_fingerprint=manifest.fingerprint,
        depth=manifest.depth,
        exclude_seen=manifest.exclude_seen,
        stage=stage,
        counting=None if config.memory == "off" else config.memory.counting,
        length=length,
    )


def describe(
    data: Dataset,
    variant: Variant,
    edits: ScenarioEdits | None,
    group_id: str,
    config: Pretrain,
    stage: Stage,
    protocol: Literal["anchored", "independent"] | None,
    reference: str | None,
) -> Description:
    """Returns the description of a variant's rank lists."""
    return Description(
        catalogue=describe_catalogue(data.item_ids),
        model=config.model.name,
        role=variant.role,
        stage=stage,
        group=group_id,
        scenario=variant.scenario or (variant.name if variant.role == "control" else None),
        depth=data.manifest.depth,
        exclude_seen=data.manifest.exclude_seen,
        seed=variant.seed,
        protocol=protocol,
        reference=reference,
        data_fingerprint=data.manifest.fingerprint,
        extra={"kind": " and ".join(of.kind for of in edits), "edits": sum(map(len, edits))} if edits else {},
    )
