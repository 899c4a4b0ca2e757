"""Saves everything that a training needs to go on bit for bit, without pickle.

Each checkpoint is kept under a key of everything that decides the training's weights, and stamped with the digest of
its bytes: a damaged one is dropped, and what it would have saved is done again.
"""

import ast
import hashlib
import json
import logging
import os
import tempfile
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from finest import sealed
from finest.imports import ROOT, closure, modules_of
from finest.profiling.profiler import clocked
from finest.registry import Registry
from finest.training.store import Store

logger = logging.getLogger(__name__)


@cache
def code_version() -> str:
    """Returns a digest of the code that decides weights, without comments and docstrings, and of the torch release."""
    return _digest(deciding(), ROOT, torch.__version__)


def package_code(registry: Registry[Any], name: str) -> str | None:
    """Returns a digest of another package's code behind a registered thing, with the package's name and version.

    None for a thing of this library, whose code is in `code_version`.
    """
    if (package := registry.package_of(name)) is None:
        return None
    module = registry[name].__module__
    files = [file for file in closure([module], (module.partition(".")[0],))[0] if not file.is_relative_to(ROOT)]
    root = Path(os.path.commonpath([file.parent for file in files]))
    return _digest(files, root, package)


def _digest(files: Iterable[Path], root: Path, release: str) -> str:
    digest = hashlib.sha256(release.encode())
    for file in files:
        digest.update(file.relative_to(root).as_posix().encode() + meaning(file.read_bytes()).encode())
    return digest.hexdigest()


def meaning(source: bytes) -> str:
    """Returns a text that differs where Python would run something else: without comments, docstrings and layout."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(body := getattr(node, "body", None), list):
            node.body = [one for one in body if not _is_text(one)]  # type: ignore[attr-defined]
    return ast.dump(tree)


def deciding() -> list[Path]:
    """Returns the files of finest that decide weights: the training modules, and all that these import or register."""
    return closure(modules_of("finest.training"), registered=True)[0]


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def key(facts: Mapping[str, Any]) -> str:
    """Returns the name of a training's checkpoints: its variant, and a digest of `facts` and of the code."""
    text = json.dumps({"code": code_version(), **facts}, sort_keys=True)
    return f"{facts['variant']}-{hashlib.sha256(text.encode()).hexdigest()[:24]}"


class Checkpoint:
    """Holds the last finished epoch of one training."""

    def __init__(self, store: Store, name: str):
        """Makes the checkpoint that is called `name` in a store, saved before or not."""
        self.store, self.name = store, f"{name}.safetensors"

    def read_only(self) -> "Checkpoint":
        """Returns the checkpoint for a process that another one saves for."""
        return _Followed(self.store, self.name.removesuffix(".safetensors"))

    @clocked("checkpoints")
    def save(self, tensors: dict[str, Tensor], facts: dict[str, Any]) -> None:
        """Saves tensors by name, and facts that JSON can hold, in place of what was saved before."""
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "checkpoint"
            save_file(
                {name: tensor.detach().contiguous().cpu() for name, tensor in tensors.items()},
                file,
                {"facts": json.dumps(facts), "stamp": sealed.UNSTAMPED},
            )
            sealed.stamp(file, self.name)
            self.store.put(self.name, file)

    @clocked("checkpoints")
    def load(self) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """Returns the tensors and facts that were saved last, or None: there are none, or they are damaged.

        A damaged checkpoint is removed, so that it stands in nobody's way.
        """
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "checkpoint"
            if not self.store.get(self.name, file):
                return None
            if not sealed.stamped(file, self.name):
                self._drop()
                return None
            with safe_open(file, "pt") as saved:
                return {name: saved.get_tensor(name) for name in saved.keys()}, json.loads(saved.metadata()["facts"])  # noqa: SIM118

    def _drop(self) -> None:
        logger.warning(
            "the checkpoint %s is damaged (it is not what was saved); it is removed, and the training begins anew",
            self.name,
        )
        self.store.delete(self.name)


class _Followed(Checkpoint):
    def save(self, tensors: dict[str, Tensor], facts: dict[str, Any]) -> None:
        return

    def _drop(self) -> None:
        return
