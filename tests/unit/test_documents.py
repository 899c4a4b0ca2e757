"""Damaged JSON of steps is one line with its path and what to do."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from finest import sealed
from finest.data import dataset, schema
from finest.errors import DataError
from finest.models import folder, saved
from finest.perturb import plan
from finest.training import group_folder, recipe

READERS: dict[str, tuple[str, Callable[[Path], Any]]] = {
    "manifest": (schema.MANIFEST, dataset.load),
    "plan": (plan.PLAN_FILE, plan.read_plan),
    "recipe": (recipe.FILE, recipe.Recipe.read),
    "group": (group_folder.FACTS, group_folder.read_facts),
    "model": (folder.FACTS, saved.read_facts),
    "items": (folder.ITEMS, folder.read_items),
}
DAMAGED = [
    b"",
    b"{",
    b"\xff\xfe",
    b"[1]" * 2,
    b"null",
    b"7",
    b"[" * 100_000,
    b"9" * 5000,
    b'{"a": "\xc3"}',
    b"\x00" * 9,
]


@pytest.mark.parametrize("kind", READERS)
def test_what_is_no_such_document_is_one_line_with_its_path(kind: str, tmp_path: Path) -> None:
    name, read = READERS[kind]
    source = random.Random(3)
    for raw in [*DAMAGED, *(source.randbytes(20) for _ in range(50))]:
        (tmp_path / name).write_bytes(raw)
        sealed.seal(tmp_path)
        with pytest.raises(DataError) as caught:
            read(tmp_path)
        said = str(caught.value)
        assert said.startswith(str(tmp_path / name)) and "\n" not in said and len(said) < 700
