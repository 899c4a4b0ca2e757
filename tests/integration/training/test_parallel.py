"""A training that several processes share, over gloo on the CPU."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from finest.errors import ConfigError, FinestError
from finest.models.recommender import Recommender
from finest.perturb.plan import Variant
from finest.training.checkpoint import Checkpoint
from finest.training.history import Record
from finest.training.loop import train
from finest.training.parallel import train_shared
from finest.training.single import Share, Single
from finest.training.unit import TrainUnit, fit
from finest.training.windows import WindowPlan, Windows, fill
from finest.training.workers import Event
from storage import checkpoint_store
from tests.integration.training.test_steps import FINETUNE, PRETRAIN, lists
from tests.integration.training.test_steps import train as train_steps
from tests.unit.training import test_replicas as stacks

TWO = replace(stacks.SETTINGS, parallel=2)
CPU = torch.device("cpu")


def many(epoch: int) -> Windows:
    return fill(stacks.VARIANTS["many"][0], stacks.SLOTS)


def shared(folder: Path, report: Callable[[Event], None]) -> tuple[Recommender, list[Record]]:
    model = stacks.made("clean")
    group = TrainUnit((Variant(name="clean", role="clean", seed=stacks.SETTINGS.seed),), (None,), 1, stacked=False)
    (history,) = fit(
        group,
        [model],
        stacks.SLOTS,
        [many],
        TWO,
        stacks.penalty(),
        Checkpoint(checkpoint_store(str(folder)), "two"),
        report,
    )
    return model, history


@pytest.mark.parametrize(
    ("window_plan", "batch"), [(stacks.SLOTS, 5), (stacks.BUCKETS, 2)], ids=["whole", "fewer windows than processes"]
)
def test_the_parts_of_a_batch_have_the_gradients_of_the_whole(
    monkeypatch: pytest.MonkeyPatch, window_plan: WindowPlan, batch: int
) -> None:
    torch.set_num_threads(1)
    monkeypatch.setattr(Share, "add_up", lambda self, tensors: None)
    shares = None, Share(0, 3), Share(1, 3), Share(2, 3)
    settings, windows = replace(TWO, batch_size=batch), fill(stacks.VARIANTS["insertion"][0], window_plan)
    of = [
        Single("x", stacks.made("clean"), window_plan, lambda epoch: windows, settings, stacks.penalty(), share)
        for share in shares
    ]
    for one in of:
        one.load(0)
    whole, *parts = of
    for number in range(3):
        terms, counts = whole.step(number)
        thirds = [part.step(number) for part in parts]
        torch.testing.assert_close(sum(terms for terms, _ in thirds), terms)
        assert [count.tolist() for _, count in thirds] == [counts.tolist()] * 3
    for name, weight in whole.weights.items():
        torch.testing.assert_close(sum(part.weights[name].grad for part in parts), weight.grad, rtol=1e-4, atol=1e-6)


def test_two_processes_train_what_one_does_up_to_rounding_and_go_on_from_a_checkpoint(tmp_path: Path) -> None:
    told: list[Event] = []
    model, history = shared(tmp_path / "two", told.append)
    alone = stacks.made("clean")
    single = Single("clean", alone, stacks.SLOTS, many, stacks.SETTINGS, stacks.penalty())
    checkpoint = Checkpoint(checkpoint_store(str(tmp_path)), "one")
    (expected,) = train(single, stacks.SETTINGS, checkpoint, lambda variant, record: None)
    for term in ("targets", "loss", "pairwise", "topk"):
        np.testing.assert_allclose(
            [record[term] for record in history], [record[term] for record in expected], rtol=1e-4
        )
    for name, weight in alone.named_parameters():
        torch.testing.assert_close(model.get_parameter(name), weight, rtol=0, atol=1e-3)
    assert [record["epoch"] for _, record in told] == [1, 2, 3]
    again, _ = shared(tmp_path / "two", told.append)
    assert stacks.same(again, model)
    assert [(record["epoch"], record["resumed"]) for _, record in told[3:]] == [(3, True)]


def broken(share: Share, device: torch.device) -> Single:
    raise FinestError("what went wrong")


def test_an_error_in_a_process_is_told_and_too_few_devices_are_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = Checkpoint(checkpoint_store(str(tmp_path)), "x")
    with pytest.raises(FinestError, match="what went wrong"):
        train_shared(broken, TWO, checkpoint, CPU, lambda variant, record: None)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(
        ConfigError, match=r"pretrain.data_parallel: 2 CUDA devices were asked for, but this machine has 1; lower it"
    ):
        train_shared(broken, TWO, checkpoint, torch.device("cuda"), lambda variant, record: None)


@pytest.mark.slow
def test_a_group_whose_trainings_take_two_processes_each_has_an_exact_identity_control(tmp_path: Path) -> None:
    _, folder, _ = train_steps(tmp_path, FINETUNE, pretrain_config=PRETRAIN.model_copy(update={"data_parallel": 2}))
    for stage in ("base", "tuned"):
        assert np.array_equal(lists(folder, stage, "clean").scores, lists(folder, stage, "identity").scores)
