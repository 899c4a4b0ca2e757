"""Profiling tells where time went and changes nothing."""

import json
from contextlib import AbstractContextManager
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch

from finest.perturb.plan import Variant
from finest.profiling import profiler
from finest.profiling.summary import FOLDER, StepCost, measured, page
from finest.training.checkpoint import Checkpoint
from finest.training.config import Pretrain
from finest.training.history import Record, write_history
from finest.training.pretrain import pretrained
from finest.training.unit import TrainUnit
from storage import checkpoint_store
from tests.builders import random_dataset

BATCHES = list(range(80))


def profiled(out: Path) -> AbstractContextManager[None]:
    out.mkdir(exist_ok=True)
    return profiler.into(out, "pretrain", True)


def test_off_nothing_is_there(tmp_path: Path) -> None:
    with profiler.into(tmp_path, "pretrain", False):
        assert profiler.traced(BATCHES, "pretrain", 1, 2) is BATCHES
        with profiler.clocked("lists"):
            pass
    assert list(tmp_path.iterdir()) == []


def test_one_epoch_of_a_step_is_traced_its_second_or_only_one_and_every_batch_comes_through(tmp_path: Path) -> None:
    with profiled(tmp_path):
        assert profiler.traced(BATCHES, "pretrain", 0, 2) is BATCHES
        assert list(profiler.traced(BATCHES, "pretrain", 1, 2)) == BATCHES
        assert profiler.traced(BATCHES, "pretrain", 1, 2) is BATCHES
        assert list(profiler.traced([1, 2], "finetune", 0, 1)) == [1, 2]
    assert {path.name for path in (tmp_path / FOLDER).iterdir()} == {
        "pretrain.json",
        "pretrain-trace.json.gz",
        "finetune-trace.json.gz",
    }


def test_an_error_in_a_traced_epoch_comes_out_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), profiled(tmp_path):
        for number in profiler.traced(BATCHES, "pretrain", 1, 2):
            print(1 // (20 - number))
    assert profiler.traced(BATCHES, "pretrain", 1, 2) is BATCHES
    torch.ones(2).sum()  # the profiler is off: a second one may start
    with profiled(tmp_path):
        list(profiler.traced(BATCHES, "pretrain", 1, 2))


def test_a_profiled_training_has_the_same_weights_and_a_page_of_its_parts(tmp_path: Path) -> None:
    def trained(name: str) -> tuple[list[torch.Tensor], list[Record]]:
        recipe = Pretrain.model_validate({"epochs": 3, "batch_size": 4, "model": {"hidden_size": 8, "max_length": 6}})
        checkpoint = Checkpoint(checkpoint_store(str(tmp_path / name)), "one")
        alone = TrainUnit((Variant(name="clean", role="clean", seed=0),), (None,), 1, stacked=False)
        (model,), (history,) = pretrained(
            random_dataset(), alone, recipe, torch.device("cpu"), checkpoint, lambda event: None
        )
        return list(model.parameters()), history

    plain, _ = trained("plain")
    group = tmp_path / "group"
    with profiled(group):
        watched, history = trained("watched")
    assert all(torch.equal(one, other) for one, other in zip(plain, watched, strict=True))
    found = json.loads((group / FOLDER / "pretrain.json").read_text())
    assert found["parts"]["checkpoints"]["times"] == 4  # looked for once, saved three times
    (group / FOLDER / "finetune.json").write_text(json.dumps({"operators": [], "parts": {}}))
    write_history(group, "clean", history, {})
    text = page(
        [StepCost("pretrain, group 0", 2.0, 3.0, 3 << 29), StepCost("gate", 1.0, 1.0, 1 << 29)], measured({"0": group})
    )
    lines = {line.strip()[:36].strip(): line[38:].split() for line in text.splitlines() if line}
    assert lines["pretrain, group 0"] == ["2.0", "3.0", "75.0%", "1.50"]
    assert "all 3.0 4.0 100.0% 1.50" in " ".join(text.split())
    assert lines["pretraining epochs"][2] == "3" and lines["checkpoints, pretraining"][2] == "4"
    assert "aten::addmm" in text and "fine-tuning, group 0: not traced" in text
    assert pq.read_table(group / "history" / "clean.parquet").num_rows == 3
