"""Checkpoints: everything a training needs to go on bit for bit, without pickle, under a key of everything that decides its weights."""

import hashlib
import json
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from finest.profiling.profiler import clocked
from finest.training.store import Store

CODE = ("keys.py", "data/dataset.py", "models", "perturb/edits.py", "perturb/kinds.py", "training")
"""Parts of the library that decide weights."""


@cache
def code_version() -> str:
    """A digest of the code that decides weights, and of the torch release."""
    # Not from `finest.__file__`: a process that has loaded a served model may have that one's copy under the name.
    root, digest = Path(__file__).parents[1], hashlib.sha256(torch.__version__.encode())
    for part in CODE:
        for file in sorted((root / part).rglob("*.py") if (root / part).is_dir() else [root / part]):
            digest.update(file.relative_to(root).as_posix().encode() + file.read_bytes())
    return digest.hexdigest()


def key(facts: Mapping[str, Any]) -> str:
    """The name of a training's checkpoints: its variant, and a digest of `facts` and of the code."""
    text = json.dumps({"code": code_version(), **facts}, sort_keys=True)
    return f"{facts['variant']}-{hashlib.sha256(text.encode()).hexdigest()[:24]}"


class Checkpoint:
    """The last finished epoch of one training."""

    def __init__(self, store: Store, name: str):
        self.store, self.name = store, f"{name}.safetensors"

    def read_only(self) -> "Checkpoint":
        """The same for a process that another one saves for."""
        return _Followed(self.store, self.name.removesuffix(".safetensors"))

    @clocked("checkpoints")
    def save(self, tensors: dict[str, Tensor], facts: dict[str, Any]) -> None:
        """Replaces what was saved before."""
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "checkpoint"
            save_file(
                {name: tensor.detach().contiguous().cpu() for name, tensor in tensors.items()},
                file,
                {"facts": json.dumps(facts)},
            )
            self.store.put(self.name, file)

    @clocked("checkpoints")
    def load(self) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """What was saved last, or None."""
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "checkpoint"
            if not self.store.get(self.name, file):
                return None
            with safe_open(file, "pt") as saved:
                return {name: saved.get_tensor(name) for name in saved.keys()}, json.loads(saved.metadata()["facts"])  # noqa: SIM118


class _Followed(Checkpoint):
    def save(self, tensors: dict[str, Tensor], facts: dict[str, Any]) -> None:
        return
