"""A model's folder that cannot be read says which file, in one line."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from finest.errors import DataError
from finest.memory.config import MemoryConfig
from finest.memory.counts import counted
from finest.memory.features import Memory
from finest.models.config import SASRecConfig
from finest.models.folder import COUNTS, FACTS, ITEMS, WEIGHTS
from finest.models.registry import build
from finest.models.saved import Facts, load, save
from finest.training import group_folder
from finest.training.recipe import Recipe
from tests.builders import random_dataset
from tests.damage import DAMAGE, bits, flipped


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, data = tmp_path_factory.mktemp("saved"), random_dataset()
    config = SASRecConfig(hidden_size=8, num_layers=1, max_length=6)
    model = build(config, data.items)
    model.initialise(1)
    told = {"seed": 1, "data_fingerprint": "0", "depth": 10, "exclude_seen": False, "stage": "tuned"}
    memory = Memory(counted(data, data.training_rows(), MemoryConfig()), {"network": 1.0, "popularity": 0.5})
    save(folder, model, Facts.model_validate({"model": config, **told}), list(data.item_ids), memory)
    return folder


@pytest.mark.parametrize("name", [WEIGHTS, FACTS, ITEMS, COUNTS])
def test_a_model_that_cannot_be_read_is_one_line_that_names_the_file(saved: Path, tmp_path: Path, name: str) -> None:
    content = (saved / name).read_bytes()
    shutil.copytree(saved, tmp_path / "model")
    changes = [change(content) for change in DAMAGE.values()]
    changes += [flipped(content, bit) for bit in bits(content, 60, seed=11)]
    for changed in [*changes, b"\xff\xfe\x00", b"null", b"[1]", b"{}"]:
        (tmp_path / "model" / name).write_bytes(changed)
        try:
            load(tmp_path / "model")
        except DataError as error:
            assert name in str(error) and "\n" not in str(error)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"[]", b"null", b'{"group"'])
@pytest.mark.parametrize(("name", "read"), [(group_folder.FACTS, group_folder.read_facts)])
def test_facts_that_cannot_be_read_are_too(
    tmp_path: Path, content: bytes, name: str, read: Callable[[Path], object]
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=f"{name}: .*run the training again"):
        read(tmp_path)


def test_a_recipe_of_another_version_is_too(tmp_path: Path) -> None:
    from finest import sealed

    Recipe(chosen="network").write(tmp_path)
    (tmp_path / "recipe.json").write_text(json.dumps({"chosen": "other"}))
    sealed.seal(tmp_path)
    with pytest.raises(DataError, match=r"recipe.json: damaged, or of another version .*run the step calibrate again"):
        Recipe.read(tmp_path)
