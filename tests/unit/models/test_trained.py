"""Models of other packages through a whole training: one with a buffer, and one that reads both ways."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from finest.data.dataset import Dataset
from finest.models.recommender import Recommender
from finest.models.saved import load, recommend, save
from finest.perturb.plan import Variant
from finest.ranklists.schema import RankLists
from finest.ranklists.take import take
from finest.training.checkpoint import Checkpoint
from finest.training.config import Finetune, Pretrain
from finest.training.facts import describe, model_facts
from finest.training.finetune import tuned
from finest.training.history import Record
from finest.training.pretrain import pretrained, settings
from finest.training.randomness import uniforms
from finest.training.references import reference_model
from finest.training.single import Share, Single
from finest.training.unit import TrainUnit
from finest.training.windows import fill, plan_windows
from storage import checkpoint_store
from tests.builders import written_dataset
from tests.unit.models.plugins import Masked, MaskedConfig

pytestmark = pytest.mark.usefixtures("plugins")

ITEMS, LENGTH = 20, 8
CPU = torch.device("cpu")
VARIANT = Variant(name="clean", role="clean", seed=0)
ALONE = TrainUnit((VARIANT,), (None,), 1, stacked=False)
FINETUNE = Finetune(epochs=2, top_k=3, simulated_share=0.05, lr=0.01)


class InterruptedTrainingError(Exception):
    """A training that was stopped from outside."""


def walks() -> Dataset:
    """Makes users who step from an item to the next one, round and round; the last step is held out."""
    words = [f"i{number:02d}" for number in range(ITEMS)]
    histories = {}
    for user in range(40):
        taken = [words[(user * 3 + step) % ITEMS] for step in range(4 + user % 15)]
        histories[f"u{user:02d}"] = " ".join([*taken[:-1], "|", taken[-1]])
    return written_dataset(histories, exclude_seen=False)


def recipe(name: str, **settings: object) -> Pretrain:
    model = {"name": name, "hidden_size": 16, "num_layers": 1, "max_length": LENGTH, "dropout": 0.1}
    values: dict[str, object] = {
        "shifted": False,
        "model": model,
        "epochs": 80,
        "lr": 0.02,
        "weight_decay": 0.0,
        "ema_decay": 0.9,
        "batch_size": 8,
    }
    return Pretrain.model_validate({**values, **settings})


def trained(
    data: Dataset, config: Pretrain, folder: Path, stop_after: int | None = None, tuning: Finetune | None = None
) -> tuple[Recommender, list[Record]]:
    """Returns a model, and its history: pretrained and, where `tuning` is given, fine-tuned to keep its own lists."""

    def on_event(event: tuple[str, Record]) -> None:
        if event[1]["epoch"] == stop_after:
            raise InterruptedTrainingError

    store = checkpoint_store(str(folder))
    (model,), (history,) = pretrained(data, ALONE, config, CPU, Checkpoint(store, "base"), on_event)
    if tuning:
        (history,) = tuned(data, ALONE, [model], config, tuning, None, Checkpoint(store, "tuned"), on_event)
    return model, history


def masked(config: Pretrain, items: int) -> Masked:
    assert isinstance(config.model, MaskedConfig)
    return Masked(config.model, items)


def lists_of(model: Recommender, data: Dataset, config: Pretrain) -> RankLists:
    return take(model, data, describe(data, VARIANT, None, "0", config, "base", None, None))


@pytest.mark.parametrize("name", ["masked", "bert4rec", "tisasrec"])
def test_a_model_that_is_masked_or_timed_pretrains_finetunes_with_reference_lists_and_ranks(
    tmp_path: Path, name: str
) -> None:
    data, config = walks(), recipe(name)
    base, _ = trained(data, config, tmp_path / "one")
    ranks = lists_of(base, data, config).target_rank
    assert (1 / ranks).mean() > 0.6  # by chance: .18
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    kept, history = trained(data, config, tmp_path / "one", tuning=FINETUNE)
    free, _ = trained(data, config, tmp_path / "two", tuning=FINETUNE.model_copy(update={"alpha": 0.0}))
    assert all(np.isfinite(record["loss"]) for record in history)
    assert not torch.equal(kept.embedding, free.embedding)  # some masked targets have a list that is kept
    lists = lists_of(kept, data, config)
    assert (1 / lists.target_rank).mean() > 0.6
    save(tmp_path / "saved", kept, model_facts(data, VARIANT, config, "tuned"), list(data.item_ids))
    instances = data.instances()
    rows = zip(data.starts[instances.user], instances.row, strict=True)
    histories = [slice(start, row) for start, row in rows]
    served, _ = recommend(
        load(tmp_path / "saved"),
        [list(data.target_ids[one]) for one in histories],
        10,
        [(data.timestamp[one] // 1_000_000).tolist() for one in histories],
    )
    assert served == [[lists.vocabulary[code] for code in row if code >= 0] for row in lists.items]


def test_a_masked_models_reference_lists_are_what_it_ranks_after_each_rows_history_in_its_window() -> None:
    data = walks()
    model = masked(recipe("masked"), data.items)
    model.initialise(0, 0.5)
    rows = data.training_rows()
    reference = reference_model(model.eval(), rows, 6)
    stored = reference.take()
    mine = np.flatnonzero(rows.user == 13)
    for place in range(1, len(mine)):
        window = (place - 1) // LENGTH * LENGTH
        history = torch.zeros(1, LENGTH, dtype=torch.int64)
        history[0, : place - window] = torch.from_numpy(rows.item[mine[window:place]])
        with torch.no_grad():
            scores = model.scores(model.summary(history))[0]
        assert stored.lists[stored.of_row[rows.id[mine[place]]]].tolist() == scores.topk(6).indices.tolist()
    held, lists = reference.recomputed().lists_of(torch.from_numpy(rows.id[mine]))
    assert held.tolist() == list(range(1, len(mine)))
    assert lists.tolist() == stored.lists[stored.of_row[rows.id[mine[1:]]]].tolist()


@pytest.mark.parametrize("name", ["plain", "masked"])
def test_an_interrupted_training_goes_on_bit_for_bit_buffers_too(tmp_path: Path, name: str) -> None:
    data, config = walks(), recipe(name, epochs=3)
    whole, _ = trained(data, config, tmp_path / "whole", tuning=FINETUNE)
    with pytest.raises(InterruptedTrainingError):
        trained(data, config, tmp_path / "cut", stop_after=2)
    resumed, _ = trained(data, config, tmp_path / "cut", tuning=FINETUNE)
    for weight, value in whole.state_dict().items():
        assert torch.equal(resumed.state_dict()[weight], value)
    if name == "plain":
        batches = plan_windows(data.training_rows(), LENGTH).batches(config.batch_size)
        assert whole.calls == batches * (3 + FINETUNE.epochs)


def test_what_is_masked_does_not_depend_on_extra_windows() -> None:
    words = ("pretrain", 0, 0, 0)
    both = uniforms((6, 4), 2, words, CPU)
    assert torch.equal(both[:4], uniforms((4, 4), 0, words, CPU)) and not torch.equal(both[4], both[5])
    assert torch.equal(both[4], uniforms((3, 4), 1, words, CPU)[2])


class PartialShare(Share):
    """A share whose gradients stay its own."""

    def add_up(self, tensors: list[torch.Tensor]) -> None:
        """Leaves the sums to the test."""


def test_shares_of_a_masked_batch_add_up_to_the_whole() -> None:
    data, config = walks(), recipe("masked")
    rows = data.training_rows()
    window_plan = plan_windows(rows, LENGTH)
    windows = fill(rows, window_plan)

    def gradients(share: Share | None) -> tuple[dict[str, torch.Tensor], int]:
        model = masked(config, data.items)
        model.initialise(0, 0.2)
        single = Single("clean", model, window_plan, lambda epoch: windows, settings(config, window_plan), None, share)
        single.load(0)
        _, (count,) = single.step(0)
        return {name: weight.grad for name, weight in single.weights.items() if weight.grad is not None}, count

    (whole, count), *parts = [gradients(share) for share in (None, PartialShare(0, 2), PartialShare(1, 2))]
    assert {count} == {other for _, other in parts}
    for name, gradient in whole.items():
        assert torch.allclose(torch.stack([part[name] for part, _ in parts]).sum(0), gradient, atol=1e-6)
