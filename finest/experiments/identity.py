"""Names cells by all that their numbers depend on, so that none is measured twice, and none is taken for another."""

import hashlib
import json
from collections.abc import Iterator
from functools import cache
from typing import Any

from finest.data.schema import Manifest
from finest.experiments.record import Cell, Given
from finest.experiments.registry import EXPERIMENTS, TREATMENTS
from finest.imports import ROOT, closure, modules_of
from finest.models.registry import MODELS
from finest.perturb.registry import EDITS, FAMILIES
from finest.registry import Registry
from finest.training import checkpoint
from finest.training.device import choose, hardware
from finest.training.losses.registry import LOSSES
from finest.training.regularisers.registry import REGULARISERS

SHARED = ("finest.experiments.bench", "finest.experiments.compare", "finest.experiments.record")
"""Modules that all cells are measured by."""
PLACES = {"device", "processes", "replicas"}
"""Keys of section `pretrain` that change no number but costs."""

NAMED: dict[str, Registry[Any]] = {"family": FAMILIES, "kind": EDITS}
"""Keys of a scenario that name a thing of a registry."""


@cache
def code_version(experiment: str) -> str:
    """Returns a digest of the code that an experiment's cells run, without comments and docstrings."""
    own = EXPERIMENTS[experiment].__module__
    entries = [*SHARED, *modules_of("finest.experiments.treatments"), *modules_of("finest.perturb.families")]
    if own.partition(".")[0] == "finest":
        entries.append(own)
    digest = hashlib.sha256(checkpoint.code_version().encode())
    for file in closure(entries)[0]:  # what registers with models and the like is in the digest of trainings
        digest.update(file.relative_to(ROOT).as_posix().encode() + checkpoint.meaning(file.read_bytes()).encode())
    return digest.hexdigest()


def key_of(cell: Cell, given: Given, manifest: Manifest) -> str:
    """Returns a digest of a cell, its part of the config, seed, data, device, and the code that measures it."""
    device = choose(given.pretrain.device)
    config: Any = EXPERIMENTS[cell.experiment]().depends(cell, given)
    if isinstance(pretrain := config.get("pretrain"), dict):
        config = {**config, "pretrain": {name: one for name, one in pretrain.items() if name not in PLACES}}
    facts = {
        "cell": cell.model_dump(mode="json"),
        "config": config,
        "data": [manifest.fingerprint, manifest.exclude_seen, manifest.depth],
        "device": hardware(device) if device.type == "cuda" else device.type,
        "code": code_version(cell.experiment),
        "packages": _packages(cell, given),
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:24]


def _packages(cell: Cell, given: Given) -> list[str]:
    """Returns digests of other packages' code behind what the experiment uses."""
    used: list[tuple[Registry[Any], str]] = [
        (EXPERIMENTS, cell.experiment),
        (MODELS, given.pretrain.model.name),
        (LOSSES, given.pretrain.loss.name),
        (REGULARISERS, given.finetune.regulariser.name),
        *((MODELS, name) for name in [cell.what.get("model")] if isinstance(name, str)),
        *((TREATMENTS, name) for name in [cell.what.get("treatment")] if isinstance(name, str)),
    ]
    used += [*_edits(given.perturb.model_dump(mode="json")), *_edits(cell.what)]
    return sorted({code for registry, name in used if (code := checkpoint.package_code(registry, name))})


def _edits(value: Any) -> Iterator[tuple[Registry[Any], str]]:
    """Yields the families and kinds of edits that are named anywhere in plain data."""
    if isinstance(value, list):
        for inner in value:
            yield from _edits(inner)
    elif isinstance(value, dict):
        for key, inner in value.items():
            if key in NAMED:
                yield NAMED[key], inner["name"] if isinstance(inner, dict) else inner
            else:
                yield from _edits(inner)
