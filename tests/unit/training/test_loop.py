from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from finest.errors import FinestError
from finest.models.config import SASRecConfig
from finest.models.registry import MODELS, build
from finest.training.checkpoint import Checkpoint, key
from finest.training.history import Record
from finest.training.loop import Average, Settings, _state, train
from finest.training.references import take
from finest.training.single import Single
from finest.training.store import Store
from finest.training.windows import fill, plan_windows
from storage import checkpoint_store
from tests.builders import random_dataset
from tests.unit.models.plugins import Plain, PlainConfig
from tests.unit.training.parts import finetune_settings, stored


class InterruptedTrainingError(Exception):
    pass


SETTINGS = finetune_settings()


def run(
    store: Store, name: str, model_name: str = "sasrec", stop_after: int | None = None, seed: int = 4
) -> tuple[dict[str, Tensor], list[Record]]:
    torch.set_num_threads(1)
    data = random_dataset()
    rows = data.training_rows()
    config = MODELS[model_name].Config.model_validate({"hidden_size": 8, "num_layers": 2, "max_length": 6})
    model = build(config, data.items)
    model.initialise(seed)
    lists = take(model, rows, 4)
    penalty = stored(torch.from_numpy(lists.lists), torch.from_numpy(lists.of_row))
    window_plan = plan_windows(rows, 6)
    windows = fill(rows, window_plan, model.timed)

    def report(variant: str, record: Record) -> None:
        if record["epoch"] == stop_after:
            raise InterruptedTrainingError

    single = Single("clean", model, window_plan, lambda epoch: windows, SETTINGS, penalty)
    (history,) = train(single, SETTINGS, Checkpoint(store, name), report)
    return {name: weight.detach().clone() for name, weight in model.named_parameters()}, history


@pytest.mark.parametrize("model_name", list(MODELS))
def test_a_training_interrupted_after_any_epoch_ends_with_the_same_weights_bit_for_bit(
    tmp_path: Path, model_name: str
) -> None:
    store = checkpoint_store(str(tmp_path))
    whole, history = run(store, "whole", model_name)
    for epoch in (1, 3):
        with pytest.raises(InterruptedTrainingError):
            run(store, f"cut-{epoch}", model_name, stop_after=epoch)
        resumed, resumed_history = run(store, f"cut-{epoch}", model_name)
        assert all(torch.equal(whole[name], resumed[name]) for name in whole)
        assert [record["loss"] for record in resumed_history] == [record["loss"] for record in history]


def test_buffers_that_are_one_tensor_are_saved_and_come_back(tmp_path: Path) -> None:
    class Tied(Plain):
        def __init__(self, config: PlainConfig, items: int):
            super().__init__(config, items)
            self.register_buffer("again", self.calls)

    model = Tied(PlainConfig(hidden_size=8, max_length=6), 10)
    model.initialise(0)
    names, weights = zip(*model.trained().items(), strict=True)
    average = Average(list(weights), 0.9)
    saved = Checkpoint(checkpoint_store(str(tmp_path)), "tied")
    saved.save(_state(names, weights, model.untrained(), torch.optim.AdamW(weights), average), {"histories": []})
    loaded = saved.load()
    assert loaded is not None and {"buffer/calls", "buffer/again"} <= loaded[0].keys()


def test_training_lowers_the_loss_and_another_seed_gives_other_weights(tmp_path: Path) -> None:
    store = checkpoint_store(str(tmp_path))
    weights, history = run(store, "one")
    other, _ = run(store, "two", seed=5)
    assert history[-1]["loss"] < history[0]["loss"]
    assert not torch.equal(weights["embedding"], other["embedding"])


def test_the_rate_falls_along_a_cosine_to_nearly_zero(tmp_path: Path) -> None:
    _, history = run(checkpoint_store(str(tmp_path)), "rate")
    rates = [record["lr"] for record in history]
    assert rates == sorted(rates, reverse=True) and rates[-1] < 0.02 * SETTINGS.lr


def test_the_average_follows_its_formula() -> None:
    weight = torch.zeros(1)
    average = Average([weight], 0.5)
    expected = 0.0
    for step in range(20):
        weight += 1
        average.update([weight], step)
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * weight.item()
    assert average.weights[0].item() == pytest.approx(expected)


def test_every_fact_that_decides_weights_changes_a_checkpoints_name() -> None:
    facts = {"variant": "clean", "seed": 0, "data": "a"}
    names = {key(facts), key({**facts, "variant": "identity"}), key({**facts, "seed": 1}), key({**facts, "data": "b"})}
    assert len(names) == 4
    assert key(dict(reversed(facts.items()))) == key(facts)


def test_a_training_that_diverges_stops_in_one_line(tmp_path: Path) -> None:
    data = random_dataset()
    rows = data.training_rows()
    window_plan = plan_windows(rows, 6)
    windows = fill(rows, window_plan)
    model = build(SASRecConfig(hidden_size=8, num_layers=1, max_length=6), data.items)
    model.initialise(0)
    settings = Settings("pretrain", 0, 3, 5, 1e30, False, 0.0, 0.9, 1.0, 0.0, True)
    single = Single("clean", model, window_plan, lambda epoch: windows, settings, None)
    with pytest.raises(FinestError, match=r"pretrain: the loss of clean is nan in epoch \d.*lower pretrain.lr"):
        train(single, settings, Checkpoint(checkpoint_store(str(tmp_path)), "x"), lambda variant, record: None)


def test_a_batch_of_slots_without_targets_is_skipped(tmp_path: Path) -> None:
    data = random_dataset(users=3)
    rows = data.training_rows()
    alone = rows.id[np.r_[True, rows.user[1:] != rows.user[:-1]]]
    keep = np.isin(rows.id, alone) | (rows.user == 0)
    rows = type(rows)(rows.user[keep], rows.item[keep], rows.id[keep], rows.anchor[keep], rows.timestamp[keep])
    window_plan = plan_windows(rows, 6)
    windows = fill(rows, window_plan)
    model = build(SASRecConfig(hidden_size=8, num_layers=1, max_length=6), data.items)
    model.initialise(0)
    settings = Settings("pretrain", 0, 2, 1, 0.01, False, 0.1, 0.9, 1.0, 0.0, True)
    checkpoint = Checkpoint(checkpoint_store(str(tmp_path)), "x")
    single = Single("clean", model, window_plan, lambda epoch: windows, settings, None)
    (history,) = train(single, settings, checkpoint, lambda variant, record: None)
    assert history[0]["targets"] == (windows.targets > 0).sum()
    assert all(torch.isfinite(weight).all() for weight in model.parameters())
