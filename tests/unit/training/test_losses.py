"""Losses against drawn items: their formulas, what is drawn, and the same training alone, stacked and shared."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from components.sections import parse
from finest.errors import ConfigError
from finest.models.registry import MODELS, build
from finest.testing import check_loss
from finest.training.checkpoint import Checkpoint
from finest.training.config import Pretrain
from finest.training.loop import Settings, train
from finest.training.losses.base import LossConfig, SampledLoss
from finest.training.losses.cross_entropy import CrossEntropyConfig
from finest.training.losses.gbce import GBCE, GBCEConfig
from finest.training.losses.registry import LOSSES
from finest.training.losses.sampled_softmax import SampledSoftmax, SampledSoftmaxConfig
from finest.training.objective import loss as catalogue_loss
from finest.training.pretrain import settings
from finest.training.randomness import negatives
from finest.training.replicas.stack import Stack
from finest.training.sampled import sampled_loss
from finest.training.single import Share, Single
from storage import checkpoint_store
from tests.unit.training import test_replicas as stacks

SAMPLED = ["gbce", "sampled_softmax"]
I, N, D = 30, 8, 6
CPU = torch.device("cpu")


@pytest.mark.parametrize("name", SAMPLED)
def test_every_sampled_loss_passes_the_check(name: str) -> None:
    check_loss(name)
    assert {*LOSSES} == {"cross_entropy", *SAMPLED}


class Kind(SampledSoftmax):
    """Rewards negatives."""

    def __call__(self, scores_NC: Tensor, items: int) -> Tensor:
        return -super().__call__(scores_NC, items)


class Social(SampledSoftmax):
    """Takes a target's loss from those of the batch."""

    def __call__(self, scores_NC: Tensor, items: int) -> Tensor:
        losses = super().__call__(scores_NC, items)
        return losses + losses.mean()


class Centred(SampledSoftmax):
    """Takes a mean over what stands for nothing."""

    def __call__(self, scores_NC: Tensor, items: int) -> Tensor:
        return super().__call__(scores_NC - scores_NC.mean(-1, keepdim=True), items)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (Kind, "of the target does not"),
        (Social, "depends on those beside"),
        (Centred, "item that is left out"),
    ],
)
def test_the_check_says_what_is_wrong(wrong: type[SampledLoss], says: str) -> None:
    with pytest.raises(AssertionError, match=says):
        check_loss(wrong)


def batch(seed: int = 0) -> tuple[list[Tensor], Tensor]:
    """Hidden states, embedding and bias, and targets."""
    generator = torch.Generator().manual_seed(seed)
    weights = [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in ((N, D), (I + 1, D), (I + 1,))]
    return weights, torch.randint(1, I + 1, (N,), generator=generator)


def value_and_gradients(loss: SampledLoss, weights: list[Tensor], target: Tensor, drawn: Tensor) -> list[Tensor]:
    hidden, embedding, bias = (weight.clone().requires_grad_() for weight in weights)
    count = torch.full((1, 1), len(target))
    value = sampled_loss(loss, hidden[None], embedding[None], bias[None], target[None], drawn[None], count)[0]
    return [value, *torch.autograd.grad(value, (hidden, embedding, bias))]


def test_a_softmax_over_all_items_is_cross_entropy_over_the_catalogue() -> None:
    weights, target = batch()
    every = negatives(1000, I, ("pretrain", 0, 0, 0), CPU)
    found = value_and_gradients(SampledSoftmax(SampledSoftmaxConfig()), weights, target, every)
    hidden, embedding, bias = (weight.clone().requires_grad_() for weight in weights)
    scores = torch.addmm(bias[1:], hidden, embedding[1:].t())
    value = catalogue_loss(scores, target, torch.full_like(target, -1), None)[0]
    for one, other in zip(found, [value, *torch.autograd.grad(value, (hidden, embedding, bias))], strict=True):
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-9)


def test_a_target_stands_against_the_drawn_items_but_not_against_itself() -> None:
    weights, target = batch(1)
    hidden, embedding, bias = weights
    target[0], drawn = 5, torch.tensor([5, 2, 9])
    scores = hidden @ embedding.t() + bias
    expected = []
    for row, item in zip(scores, target.tolist(), strict=True):
        among = torch.stack([row[item], *(row[code] for code in drawn.tolist() if code != item)])
        expected.append(-among.log_softmax(0)[0])
    found = value_and_gradients(SampledSoftmax(SampledSoftmaxConfig()), weights, target, drawn)[0]
    torch.testing.assert_close(found, torch.stack(expected).mean())


@pytest.mark.parametrize("t", [0.0, 0.75, 1.0])
def test_gbce_is_the_formula_of_the_paper_up_to_a_constant_of_the_scores(t: float) -> None:
    scores = torch.randn(N, 1 + 9, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    rate = 9 / I
    power = rate * (t * (1 - 1 / rate) + 1 / rate)
    sigmoid = (scores + math.log(power / 9)).sigmoid()
    expected = -(sigmoid[:, 0] ** power).log() - (1 - sigmoid[:, 1:]).log().sum(1)
    torch.testing.assert_close(GBCE(GBCEConfig(t=t))(scores, I), expected)
    assert power == pytest.approx({0.0: 1.0, 0.75: 0.475, 1.0: rate}[t])


def test_gbce_does_not_move_equal_scores_up_or_down_together() -> None:
    scores = torch.zeros(N, 1 + 9, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(GBCE(GBCEConfig())(scores, I).sum(), scores)
    assert gradient[0, 0] < -0.1 and gradient.sum(1).abs().max() < 1e-12


def test_gbce_over_all_items_is_binary_cross_entropy() -> None:
    scores = torch.randn(N, 1 + I, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    labels = F.one_hot(torch.zeros(N, dtype=torch.long), 1 + I).double()
    expected = F.binary_cross_entropy_with_logits(scores - math.log(I), labels, reduction="none").sum(1)
    torch.testing.assert_close(GBCE(GBCEConfig())(scores, I), expected)


def test_negatives_are_drawn_once_each_by_seed_and_batch_alone() -> None:
    words = ("pretrain", 0, 3, 7)
    drawn = negatives(40, 100, words, CPU)
    assert len(drawn) == len(drawn.unique()) == 40 and drawn.min() >= 1 and drawn.max() <= 100
    torch.rand(5)
    assert torch.equal(drawn, negatives(40, 100, words, CPU))
    assert not torch.equal(drawn, negatives(40, 100, ("pretrain", 0, 3, 8), CPU))
    assert negatives(256, 30, words, CPU).sort().values.tolist() == list(range(1, 31))


def with_loss(name: str, seed: int = 4) -> Settings:
    loss = LOSSES[name](LOSSES[name].Config.model_validate({"negatives": 20}))
    return Settings(**{**stacks.SETTINGS.__dict__, "seed": seed, "loss": loss})


def model_of(name: str, seed: int) -> Any:
    config = MODELS[name].Config.model_validate({"hidden_size": 16, "num_heads": 2, "max_length": 6})
    model = build(config, stacks.DATA.items)
    model.initialise(seed)
    return model


@pytest.mark.parametrize(("model", "loss"), [("sasrec", "gbce"), ("esasrec", "sampled_softmax"), ("hstu", "gbce")])
@pytest.mark.parametrize("tuning", [False, True], ids=["pretrain", "finetune"])
def test_a_stack_trains_each_replica_as_it_would_train_alone(
    tmp_path: Path, model: str, loss: str, tuning: bool
) -> None:
    names, store = ["clean", "insertion", "many", "seed"], checkpoint_store(str(tmp_path))
    penalty, common = stacks.penalty() if tuning else None, with_loss(loss)
    seeds = [stacks.VARIANTS[name][1] for name in names]
    stacked = [model_of(model, seed) for seed in seeds]
    windows = [stacks.windows(name) for name in names]
    together = Stack(names, stacked, stacks.SLOTS, windows, seeds, common, penalty)
    histories = train(together, common, Checkpoint(store, "stack"), stacks.quiet)
    together.finish()
    for place, name in enumerate(names):
        alone, own = model_of(model, seeds[place]), with_loss(loss, seeds[place])
        single = Single(name, alone, stacks.SLOTS, windows[place], own, penalty)
        (history,) = train(single, own, Checkpoint(store, name), stacks.quiet)
        for ours, theirs in zip(histories[place], history, strict=True):
            assert ours["targets"] == theirs["targets"]
            for term in ("loss", *(("pairwise", "topk") if tuning else ())):
                assert ours[term] == pytest.approx(theirs[term], rel=2e-4)
        for part, weight in alone.named_parameters():
            # Adam makes steps of a gradient's rounding where it is near zero.
            torch.testing.assert_close(stacked[place].get_parameter(part), weight, rtol=0, atol=2e-3)


class PartialShare(Share):
    """A share whose gradients stay its own."""

    def add_up(self, tensors: list[torch.Tensor]) -> None:
        """Leaves the sums to the test."""


@pytest.mark.parametrize("name", SAMPLED)
def test_shares_of_a_batch_add_up_to_the_whole(name: str) -> None:
    def step(share: Share | None) -> tuple[Tensor, dict[str, Tensor]]:
        model = stacks.made("clean")
        single = Single("clean", model, stacks.SLOTS, stacks.windows("clean"), with_loss(name), stacks.penalty(), share)
        single.load(0)
        terms, _ = single.step(1)
        return terms[0], {name: weight.grad for name, weight in single.weights.items() if weight.grad is not None}

    (terms, whole), *parts = [step(share) for share in (None, PartialShare(0, 2), PartialShare(1, 2))]
    torch.testing.assert_close(torch.stack([part for part, _ in parts]).sum(0), terms, rtol=1e-5, atol=1e-6)
    for weight, gradient in whole.items():
        assert torch.allclose(torch.stack([part[weight] for _, part in parts]).sum(0), gradient, atol=1e-5)


@pytest.mark.parametrize("in_chunks", [False, True])
def test_a_tuning_loss_is_the_sampled_one_plus_alpha_times_the_penalty(in_chunks: bool) -> None:
    penalty = stacks.penalty()
    both, plain = (
        Single("clean", stacks.made("clean"), stacks.SLOTS, stacks.windows("clean"), with_loss("gbce"), one)
        for one in (penalty, None)
    )
    both.in_chunks = in_chunks
    for one in (both, plain):
        one.load(0)
    (terms,), (loss,) = both.step(0)[0], plain.step(0)[0]
    assert len(terms) == 3 and terms[1:].min() > 0
    torch.testing.assert_close(terms[0], loss[0] + penalty.alpha * terms[1:].sum())


def test_a_config_names_a_loss_or_gives_its_options() -> None:
    def loss(value: Any) -> LossConfig:
        return parse(Pretrain, {"loss": value}, "pretrain").loss

    assert Pretrain().loss == CrossEntropyConfig() == loss("cross_entropy")
    assert loss({"name": "gbce", "negatives": 64.0, "t": 1}) == GBCEConfig(negatives=64, t=1.0)
    assert isinstance(settings(Pretrain(loss=GBCEConfig()), stacks.SLOTS).loss, GBCE)
    with pytest.raises(ConfigError, match=r"^pretrain\.loss\.negatives: there is no such config key"):
        loss({"name": "cross_entropy", "negatives": 3})
    with pytest.raises(ConfigError, match=r"^pretrain\.loss = 'bce': there is no loss called bce; did you mean gbce\?"):
        loss("bce")
