"""A checkpoint that is not what was saved is dropped with a warning, and the training ends as if nothing had been."""

import logging
import shutil
from pathlib import Path

import pytest
import torch

from finest.training.checkpoint import Checkpoint
from storage import FolderStore
from tests.damage import DAMAGE, bits, flipped
from tests.unit.training.test_loop import InterruptedTrainingError, run


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkpoint of a training that has finished two epochs."""
    folder = tmp_path_factory.mktemp("started")
    with pytest.raises(InterruptedTrainingError):
        run(FolderStore(folder), "training", stop_after=2)
    return folder / "training.safetensors"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, torch.Tensor]:
    return run(FolderStore(tmp_path_factory.mktemp("whole")), "training")[0]


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_one_is_dropped_and_the_training_begins_anew(
    started: Path, whole: dict[str, torch.Tensor], tmp_path: Path, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    damaged = tmp_path / started.name
    damaged.write_bytes(DAMAGE[kind](started.read_bytes()))
    weights, history = run(FolderStore(tmp_path), "training")
    assert "training.safetensors is damaged" in caplog.text
    assert [record["epoch"] for record in history] == [1, 2, 3, 4]
    assert all(torch.equal(weights[name], whole[name]) for name in whole)
    caplog.clear()
    assert run(FolderStore(tmp_path), "training")[1] == history
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_a_bit_that_flips_anywhere_is_found(started: Path, tmp_path: Path) -> None:
    content, saved = started.read_bytes(), tmp_path / started.name
    for bit in bits(content, 200, seed=5):
        saved.write_bytes(flipped(content, bit))
        assert Checkpoint(FolderStore(tmp_path), "training").load() is None, bit
        assert not saved.exists(), bit
    saved.write_bytes(content)
    assert Checkpoint(FolderStore(tmp_path), "training").load() is not None


def test_the_checkpoint_of_another_training_is_none_of_this_one(started: Path, tmp_path: Path) -> None:
    shutil.copy(started, tmp_path / "another.safetensors")
    assert Checkpoint(FolderStore(tmp_path), "another").load() is None


def test_who_only_reads_leaves_a_damaged_one_to_who_saves(started: Path, tmp_path: Path) -> None:
    saved = tmp_path / started.name
    saved.write_bytes(DAMAGE["empty"](b""))
    assert Checkpoint(FolderStore(tmp_path), "training").read_only().load() is None
    assert saved.exists()
